//! What a shape tells apart, and what it doesn't.

use super::of;
use crate::ground::wire::codec;
use crate::shared::Shared;
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Debug;

/// The shape of a value of types that are there for it alone: so one name can have any number of them.
macro_rules! shape {
    ({ $($type:item)* } $value:expr) => {{
        $(#[derive(Serialize)] #[allow(dead_code, reason = "variants are there for their numbers")] $type)*
        of(&$value).unwrap()
    }};
}

#[test]
fn a_struct_that_is_built_differently_has_another_shape() {
    let before = shape!({ struct Point { x: f64, y: f64 } } Point { x: 1.0, y: 2.0 });
    assert_eq!(shape!({ struct Point { x: f64, y: f64 } } Point { x: f64::NAN, y: -0.0 }), before);
    let after = [
        ("swapped", shape!({ struct Point { y: f64, x: f64 } } Point { x: 1.0, y: 2.0 })),
        ("renamed", shape!({ struct Point { x: f64, z: f64 } } Point { x: 1.0, z: 2.0 })),
        ("added", shape!({ struct Point { x: f64, y: f64, z: f64 } } Point { x: 1.0, y: 2.0, z: 3.0 })),
        (
            "added without bytes",
            shape!({ struct Point { x: f64, y: f64, z: () } } Point { x: 1.0, y: 2.0, z: () }),
        ),
        ("removed", shape!({ struct Point { x: f64 } } Point { x: 1.0 })),
        ("another kind", shape!({ struct Point { x: f64, y: u64 } } Point { x: 1.0, y: 2 })),
        ("another name", shape!({ struct Place { x: f64, y: f64 } } Place { x: 1.0, y: 2.0 })),
        ("without names", shape!({ struct Point(f64, f64); } Point(1.0, 2.0))),
        ("nested", shape!({ struct Point { x: f64, y: [f64; 1] } } Point { x: 1.0, y: [2.0] })),
    ];
    for (change, shape) in after {
        assert_ne!(shape, before, "{change}");
    }
}

#[test]
fn every_kind_of_number_has_a_shape_of_its_own() {
    let shapes = [
        of(&true),
        of(&1_i8),
        of(&1_i16),
        of(&1_i32),
        of(&1_i64),
        of(&1_i128),
        of(&1_u8),
        of(&1_u16),
        of(&1_u32),
        of(&1_u64),
        of(&1_u128),
        of(&1_f32),
        of(&1_f64),
        of(&'1'),
        of(&"1"),
        of(&()),
        of(&(1_u8,)),
        of(&[1_u8; 2]),
        of(&[1_u8; 3]),
        of(&vec![1_u8]),
        of(&Some(1_u8)),
        of(&BTreeMap::from([(1_u8, 1_u8)])),
        of(&Ok::<_, ()>(1_u8)),
    ];
    let different: HashSet<u64> = shapes.iter().map(|shape| *shape.as_ref().unwrap()).collect();
    assert_eq!(different.len(), shapes.len());
    assert_eq!(of("1"), of(&"2".to_string()));
}

#[test]
fn an_enum_whose_variants_moved_has_another_shape() {
    let (a, b) = (
        shape!({ enum Sort { A, B(u32), C { n: u32 } } } Sort::A),
        shape!({ enum Sort { A, B(u32), C { n: u32 } } } [Sort::B(1), Sort::C { n: 1 }]),
    );
    assert_ne!(shape!({ enum Sort { B(u32), A, C { n: u32 } } } Sort::A), a);
    assert_ne!(shape!({ enum Sort { Z, A } } Sort::A), a, "one was added before");
    assert_ne!(shape!({ enum Sort { Z } } Sort::Z), a, "renamed");
    assert_ne!(shape!({ enum Kind { A } } Kind::A), a, "the type was renamed");
    for (change, shape) in [
        ("moved", shape!({ enum Sort { A, C { n: u32 }, B(u32) } } [Sort::B(1), Sort::C { n: 1 }])),
        ("another kind", shape!({ enum Sort { A, B(i32), C { n: u32 } } } [Sort::B(1), Sort::C { n: 1 }])),
        ("field renamed", shape!({ enum Sort { A, B(u32), C { m: u32 } } } [Sort::B(1), Sort::C { m: 1 }])),
        ("names exchanged", shape!({ enum Sort { A, C(u32), B { n: u32 } } } [Sort::C(1), Sort::B { n: 1 }])),
        (
            "more parts",
            shape!({ enum Sort { A, B(u32, ()), C { n: u32 } } } [Sort::B(1, ()), Sort::C { n: 1 }]),
        ),
    ] {
        assert_ne!(shape, b, "{change}");
    }
    assert_eq!(shape!({ enum Sort { A, B } } Sort::A), a, "what comes after is not met, and moves nothing");
}

#[test]
fn a_change_is_found_however_deep_it_is() {
    macro_rules! nested {
        ($($field:ident)*) => {
            shape!({
                struct Inner { $($field: u8),* }
                struct Outer { list: Vec<BTreeMap<u8, Option<(u8, Inner)>>> }
            } Outer { list: vec![BTreeMap::from([(1, Some((1, Inner { $($field: 1),* })))])] })
        };
    }
    assert_ne!(nested!(a b), nested!(b a));
    // A list or tree contains itself.
    macro_rules! list {
        ($($field:ident)*) => {
            shape!({ enum List { End, More { $($field: u8,)* rest: Box<List> } } }
                List::More { $($field: 1,)* rest: Box::new(List::End) })
        };
    }
    assert_ne!(list!(a b), list!(b a));
}

/// Generic types are called the same whatever is in them, and are told apart by where they stand.
#[test]
fn types_of_one_name_that_change_places_are_found() {
    #[derive(Serialize)]
    struct Timed<T> {
        value: T,
    }
    let (float, number) = (|| Timed { value: 1.0_f64 }, || Timed { value: 1_u64 });
    let before = shape!({ struct Both { a: Timed<f64>, b: Timed<u64> } }
        Both { a: float(), b: number() });
    let after = shape!({ struct Both { a: Timed<u64>, b: Timed<f64> } }
        Both { a: number(), b: float() });
    assert_ne!(before, after);
    assert_ne!(of(&(float(), number())), of(&(number(), float())));
    assert_ne!(of(&Ok::<_, u8>(Timed { value: Some(1) })), of(&Ok::<_, u8>(Timed { value: 1 })));
}

/// Serde knows the parameters of a generic type by no name.
#[test]
fn a_type_in_one_of_its_own_name_is_not_taken_for_it() {
    #[derive(Serialize)]
    struct Pair<A, B> {
        a: A,
        b: B,
    }
    #[derive(Serialize)]
    struct Report<T> {
        pair: T,
    }
    let before = Report { pair: Pair { a: Pair { a: 1_u8, b: 1.0_f64 }, b: 2_u8 } };
    let after = Report { pair: Pair { a: Pair { a: 1_u8, b: 2_u8 }, b: 1.0_f64 } };
    assert_ne!(of(&before).unwrap(), of(&after).unwrap());
}

#[test]
fn order_and_number_of_elements_are_no_part_of_it() {
    let elements = || (0..1000_u32).map(|n| (n, (n % 3 == 0).then_some(f64::from(n))));
    // Each map has an order of its own.
    let shapes: HashSet<u64> = (0..10).map(|_| of(&elements().collect::<HashMap<_, _>>()).unwrap()).collect();
    assert_eq!(shapes.len(), 1);
    let reversed: Vec<_> = elements().rev().collect();
    assert_eq!(of(&reversed), of(&elements().collect::<Vec<_>>()));
    assert_eq!(of(&vec![1_u8]), of(&vec![2_u8; 500]));
    // No element is passed over.
    let late = (0..100_000).map(|n| if n == 99_999 { Err(1_u8) } else { Ok(1_u8) });
    assert_ne!(of(&late.collect::<Vec<_>>()), of(&vec![Ok::<u8, u8>(1); 100_000]));
}

#[test]
fn an_array_of_any_length_is_noted_in_a_few_places() {
    struct Long(usize);
    impl Serialize for Long {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeTuple as _;
            let mut elements = serializer.serialize_tuple(self.0)?;
            (0..self.0).try_for_each(|_| elements.serialize_element(&1.5_f64))?;
            elements.end()
        }
    }
    assert_eq!(of(&Long(100_000)), of(&Long(100_000)));
    assert_ne!(of(&Long(100_000)), of(&Long(100_001)));
}

/// Shapes lie in files, where other builds read them.
#[test]
fn a_shape_is_the_same_in_every_build() {
    let shape = shape!({
        enum Sort {
            A,
            B(u32),
            C { n: (u8, i8), m: Option<String> },
        }
    }(
        vec![Sort::A, Sort::B(1), Sort::C { n: (1, 1), m: None }],
        BTreeMap::from([('a', 1.5)])
    ));
    assert_eq!(shape, 0x3d87_ed77_c3a1_d468, "{shape:#x}");
}

#[test]
fn an_error_of_the_users_serialize_keeps_its_words() {
    struct Refuses;
    impl Serialize for Refuses {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(S::Error::custom("no"))
        }
    }
    assert_eq!(of(&vec![Some(Refuses)]), Err("no".to_string()));
}

#[test]
fn what_nests_deep_is_described_on_the_stack_that_encodes_it() {
    #[derive(Serialize, Deserialize)]
    enum List {
        End,
        More(Box<List>),
    }
    let describe = || {
        let mut list = List::End;
        for _ in 0..2_000 {
            list = List::More(Box::new(list));
        }
        codec::encode(&list, &mut Vec::new()).unwrap();
        // A `List` holds a `Box<List>`, and that another one: then it repeats itself.
        let short = List::More(Box::new(List::More(Box::new(List::More(Box::new(List::End))))));
        assert_eq!(of(&list), of(&short));
    };
    std::thread::Builder::new().stack_size(4 << 20).spawn(describe).unwrap().join().unwrap();
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Number(f64),
    Text(String, #[serde(skip)] u8),
    Fields { name: Option<char>, list: Vec<Tree>, map: HashMap<i16, Tree> },
    Pair(Box<(Tree, Tree)>),
    Shared(Shared<[u16]>),
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Leaf),
        any::<f64>().prop_map(Tree::Number),
        ".{0,5}".prop_map(|text| Tree::Text(text, 0)),
        any::<Vec<u16>>().prop_map(|numbers| Tree::Shared(numbers.into())),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5);
        let map = prop::collection::hash_map(any::<i16>(), inner.clone(), 0..5);
        let fields = (any::<Option<char>>(), list, map);
        prop_oneof![
            fields.prop_map(|(name, list, map)| Tree::Fields { name, list, map }),
            (inner.clone(), inner).prop_map(|pair| Tree::Pair(Box::new(pair))),
        ]
    })
}

fn keeps_its_shape<T: Serialize + DeserializeOwned + Debug + 'static>(value: &T) {
    let mut bytes = Vec::new();
    codec::encode(value, &mut bytes).unwrap();
    let back: T = codec::decode(&mut &bytes[..]).unwrap();
    assert_eq!(of(&back), of(value), "{value:?}");
}

proptest! {
    #[test]
    fn what_comes_back_has_the_shape_that_it_had(
        tree in tree(),
        map: HashMap<(u8, bool), Result<Vec<Option<f32>>, String>>,
        set: HashSet<Option<i128>>,
        rest: (std::time::Duration, std::ops::Range<u64>, std::net::IpAddr),
    ) {
        keeps_its_shape(&tree);
        keeps_its_shape(&(tree, map.clone()));
        keeps_its_shape(&map);
        keeps_its_shape(&set);
        keeps_its_shape(&rest);
    }
}
