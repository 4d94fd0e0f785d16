//! Owns the types of values in programs: their texts, names for their variables, and literals. Promises that a literal
//! compiles wherever its type is known or not.

use super::random::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ty {
    Unit,
    Int,
    U64,
    Usize,
    Bool,
    F64,
    Str,
    Vec,
    Pair,
    Opt,
    Res,
    /// Only parameters: `&[i64]` and so on. A variable of these is one of the owned type, of the kind `Ref`.
    Slice,
    StrRef,
    VecRef,
    PairRef,
    Grid,
    Names,
    Floats,
    Indexes,
    Flags,
    Pairs,
    Opts,
    HashMap,
    BTreeMap,
    Set,
    Deque,
    /// A `Vec<i64>` that may be empty, so that it is never indexed.
    Stack,
    Point,
    /// A list that tasks change by index.
    Tracked,
    /// A closure from `usize` to `i64`.
    Closure,
}

impl Ty {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Unit => "()",
            Self::Int => "i64",
            Self::U64 => "u64",
            Self::Usize => "usize",
            Self::Bool => "bool",
            Self::F64 => "f64",
            Self::Str => "String",
            Self::Vec | Self::Stack => "Vec<i64>",
            Self::Pair => "(i64, i64)",
            Self::Opt => "Option<i64>",
            Self::Res => "Result<i64, String>",
            Self::Slice => "&[i64]",
            Self::StrRef => "&str",
            Self::VecRef => "&Vec<i64>",
            Self::PairRef => "&(i64, i64)",
            Self::Grid => "Vec<Vec<i64>>",
            Self::Names => "Vec<String>",
            Self::Floats => "Vec<f64>",
            Self::Indexes => "Vec<usize>",
            Self::Flags => "Vec<bool>",
            Self::Pairs => "Vec<(i64, i64)>",
            Self::Opts => "Vec<Option<i64>>",
            Self::HashMap => "HashMap<i64, i64>",
            Self::BTreeMap => "BTreeMap<i64, i64>",
            Self::Set => "BTreeSet<i64>",
            Self::Deque => "VecDeque<i64>",
            Self::Point => "Point",
            Self::Tracked => "xfork::Tracked<Vec<i64>>",
            Self::Closure => unreachable!("closures have no type that can be written"),
        }
    }

    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Self::Int => &["x", "y", "total", "best", "a", "b"],
            Self::U64 => &["hash", "code"],
            Self::Usize => &["count", "at", "size"],
            Self::Bool => &["flag", "done"],
            Self::F64 => &["mean", "rate"],
            Self::Str | Self::StrRef => &["text", "line", "name"],
            Self::Vec | Self::Slice | Self::VecRef => &["v", "w", "xs", "values"],
            Self::Pair | Self::PairRef => &["pair", "range"],
            Self::Opt => &["found", "maybe"],
            Self::Res => &["result", "outcome"],
            Self::Grid => &["grid", "rows"],
            Self::Names => &["names", "words"],
            Self::Floats => &["floats", "rates"],
            Self::Indexes => &["idx", "order"],
            Self::Flags => &["flags", "seen"],
            Self::Pairs => &["pairs", "edges"],
            Self::Opts => &["options", "slots"],
            Self::HashMap => &["map", "cache"],
            Self::BTreeMap => &["table", "sums"],
            Self::Set => &["set", "ids"],
            Self::Deque => &["queue", "jobs"],
            Self::Stack => &["stack", "todo"],
            Self::Point => &["point", "p"],
            Self::Tracked => &["list", "world"],
            Self::Closure => &["get", "look"],
            Self::Unit => &["unit"],
        }
    }

    /// What `container[i]` gives.
    pub(crate) fn element(self) -> Option<Self> {
        Some(match self {
            Self::Vec => Self::Int,
            Self::Grid => Self::Vec,
            Self::Names => Self::Str,
            Self::Floats => Self::F64,
            Self::Indexes => Self::Usize,
            Self::Flags => Self::Bool,
            Self::Pairs => Self::Pair,
            Self::Opts => Self::Opt,
            _ => return None,
        })
    }

    /// What a `Vec` of such values is.
    pub(crate) fn vec_of(self) -> Option<Self> {
        [
            Self::Vec,
            Self::Grid,
            Self::Names,
            Self::Floats,
            Self::Indexes,
            Self::Flags,
            Self::Pairs,
            Self::Opts,
        ]
        .into_iter()
        .find(|container| container.element() == Some(self))
    }

    pub(crate) fn is_copy(self) -> bool {
        matches!(
            self,
            Self::Unit
                | Self::Int
                | Self::U64
                | Self::Usize
                | Self::Bool
                | Self::F64
                | Self::Pair
                | Self::Opt
                | Self::Point
        )
    }

    /// The owned type behind a borrowed parameter.
    pub(crate) fn owned(self) -> Self {
        match self {
            Self::Slice | Self::VecRef => Self::Vec,
            Self::StrRef => Self::Str,
            Self::PairRef => Self::Pair,
            other => other,
        }
    }
}

/// A value written out. Every `Vec` has three elements or more, which is what makes the indexes 0, 1 and 2 always right.
pub(crate) fn literal(random: &mut Random, ty: Ty) -> String {
    let list = |random: &mut Random, of: Ty| {
        let items: Vec<_> = (0..random.between(3, 4)).map(|_| literal(random, of)).collect();
        format!("vec![{}]", items.join(", "))
    };
    let (a, b) = (random.between(0, 30), random.between(-9, 9));
    let word = random.pick(&["ab", "key", "lorem", "x", "one two"]);
    match ty {
        Ty::Unit => "()".into(),
        Ty::Int if b < -5 => format!("({b}_i64)"),
        Ty::Int => format!("{a}_i64"),
        Ty::U64 => format!("{a}_u64"),
        Ty::Usize => format!("{}_usize", a % 7),
        Ty::Bool => (a % 2 == 0).to_string(),
        Ty::F64 => format!("{a}.5_f64"),
        Ty::Str => format!("\"{word}\".to_string()"),
        Ty::Vec | Ty::Stack if a % 3 == 0 => format!("vec![{b}_i64; 4]"),
        Ty::Vec | Ty::Stack => format!("vec![{a}_i64, {b}, {}]", random.between(0, 9)),
        Ty::Pair => format!("({a}_i64, {b}_i64)"),
        Ty::Opt if a % 3 == 0 => "None::<i64>".into(),
        Ty::Opt => format!("Some({a}_i64)"),
        Ty::Res if a % 4 == 0 => format!("Err::<i64, String>(\"no {word}\".to_string())"),
        Ty::Res => format!("Ok::<i64, String>({a})"),
        Ty::Slice => format!("&[{a}, {b}, 7]"),
        Ty::StrRef => format!("\"{word}\""),
        Ty::VecRef => format!("&vec![{a}, {b}]"),
        Ty::PairRef => format!("&({a}, {b})"),
        Ty::Grid if a % 2 == 0 => format!("vec![vec![{b}_i64; 3]; 3]"),
        Ty::Grid => list(random, Ty::Vec),
        Ty::Names => list(random, Ty::Str),
        Ty::Floats => list(random, Ty::F64),
        Ty::Indexes => list(random, Ty::Usize),
        Ty::Flags => list(random, Ty::Bool),
        Ty::Pairs => list(random, Ty::Pair),
        Ty::Opts => list(random, Ty::Opt),
        Ty::HashMap | Ty::BTreeMap if a % 3 == 0 => {
            format!("{}::<i64, i64>::new()", ty.text().split('<').next().expect("split gives one"))
        }
        Ty::HashMap => format!("HashMap::from([({a}_i64, {b}_i64), (1, 5)])"),
        Ty::BTreeMap => format!("BTreeMap::from([({a}_i64, {b}_i64), (1, 5)])"),
        Ty::Set => format!("BTreeSet::from([{a}_i64, {b}])"),
        Ty::Deque => format!("VecDeque::from([{a}_i64, {b}])"),
        Ty::Tracked => format!("xfork::Tracked::new({})", literal(random, Ty::Vec)),
        Ty::Point => format!("Point {{ x: {a}, y: {b} }}"),
        Ty::Closure => unreachable!("closures are declared where they are used"),
    }
}
