//! What a serial program would see, where it is easily missed: values, order and effects.

use crate::both::both;
use crate::fixture::deadline;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::{AddAssign, Index, IndexMut};
use std::rc::Rc;
use xfork::{concurrent, synchronized};

thread_local! {
    static LOG: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) };
}

fn note(number: u32) {
    LOG.with_borrow_mut(|log| log.push(number));
}

fn noted() -> u32 {
    LOG.with_borrow(|log| log.len() as u32)
}

struct Guard;

impl Drop for Guard {
    fn drop(&mut self) {
        note(99);
    }
}

/// Says what is added to it.
struct Loud(u32);

impl AddAssign<u32> for Loud {
    fn add_assign(&mut self, number: u32) {
        note(number);
        self.0 += number;
    }
}

trait Announce {
    fn announce(&mut self, number: u32);
}

impl Announce for Vec<u32> {
    fn announce(&mut self, number: u32) {
        note(number);
        self.push(number);
    }
}

/// Its index is taken by value.
#[derive(Debug, Default, PartialEq)]
struct Table(BTreeMap<String, Vec<u32>>);

impl Index<String> for Table {
    type Output = Vec<u32>;

    fn index(&self, name: String) -> &Vec<u32> {
        &self.0[&name]
    }
}

impl IndexMut<String> for Table {
    fn index_mut(&mut self, name: String) -> &mut Vec<u32> {
        self.0.entry(name).or_insert_with(|| vec![0])
    }
}

#[derive(Debug, Default, PartialEq)]
struct Pair {
    items: Vec<u32>,
    total: u32,
}

macro_rules! declare {
    ($name:ident = $value:expr) => {
        let mut $name = $value;
    };
}

both! {
    #[concurrent(io)]
    pub(crate) fn same(number: u32) -> u32 {
        number
    }

    #[concurrent(io)]
    pub(crate) fn index(number: usize) -> usize {
        number
    }

    #[concurrent(io)]
    pub(crate) fn listed(number: u32) -> Vec<u32> {
        vec![number]
    }

    #[concurrent(io)]
    pub(crate) fn small(number: u32) -> Result<u32, String> {
        if number > 3 { Err(format!("{number} is too much")) } else { Ok(number) }
    }

    pub(crate) fn ordinary(number: u32) -> u32 {
        number
    }

    pub(crate) fn save(number: u32) -> u32 {
        note(number);
        number
    }

    pub(crate) fn parse(text: &str) -> Result<u32, std::num::ParseIntError> {
        text.parse()
    }

    #[synchronized]
    pub(crate) fn arms_without_braces() -> Vec<u32> {
        let mut out = vec![];
        for k in 0..3 {
            match k {
                0 => out.push(same(k)),
                _ => out.push(ordinary(k)),
            }
        }
        out
    }

    #[synchronized]
    pub(crate) fn bodies_without_semicolons() -> Vec<u32> {
        let mut out: Vec<u32> = vec![];
        for _ in 0..3 {
            let count = out.len() as u32;
            out.push(same(count))
        }
        while out.len() < 6 {
            out.push(same(1))
        }
        out
    }

    #[synchronized]
    pub(crate) fn fields_in_arms(pair: &mut Pair, k: u32) {
        match k {
            0 => pair.total += same(1),
            1 => pair.items.push(same(2)),
            _ => {}
        }
    }

    #[synchronized]
    pub(crate) fn left_by_an_ordinary_error(list: &mut Vec<u32>, text: &str) -> Result<u32, std::num::ParseIntError> {
        list.push(same(1));
        let number = parse(text)?;
        list.push(same(number));
        Ok(number)
    }

    #[synchronized]
    pub(crate) fn nothing_behind_an_error(number: u32) -> Result<u32, String> {
        let checked = small(number)?;
        let saved = save(number);
        Ok(checked + saved)
    }

    #[synchronized]
    pub(crate) fn jumps_in_expressions(mut numbers: std::vec::IntoIter<u32>) -> Vec<u32> {
        let mut out = Vec::new();
        let mut number = 0;
        loop {
            out.push(same(number));
            number = match numbers.next() {
                Some(next) => next,
                None => break,
            };
        }
        out
    }

    #[synchronized]
    pub(crate) fn configured_out(out: &mut Vec<u32>) {
        out.push(same(1));
        #[cfg(any())]
        out.push(same(2));
        #[cfg(any())]
        {
            println!("{out:?}");
        }
        #[cfg(any())]
        let number = same(1);
    }

    pub(crate) fn record(log: &RefCell<Vec<u32>>, number: u32) {
        log.borrow_mut().push(number);
    }

    #[synchronized]
    pub(crate) fn through_a_cell(log: &RefCell<Vec<u32>>) {
        for i in 0..3 {
            record(log, same(i));
        }
    }

    #[synchronized]
    pub(crate) fn receivers_with_effects() -> Vec<Vec<u32>> {
        let mut rows = vec![vec![]; 4];
        let mut stack = vec![3_usize, 2, 1, 0];
        rows[stack.pop().unwrap()].push(same(7));
        rows[stack.pop().unwrap()].push(same(8));
        rows
    }

    #[synchronized]
    pub(crate) fn receivers_that_are_pending() -> Vec<Vec<u32>> {
        let mut rows = vec![];
        for i in 0..3 {
            rows.push(listed(i));
            rows[i as usize].push(same(7));
        }
        rows
    }

    #[synchronized]
    pub(crate) fn effects_before_an_ordinary_argument() -> Vec<u32> {
        let mut out = vec![];
        note(same(0));
        out.push(noted());
        note(same(1));
        let count = noted();
        out.push(count);
        out
    }

    #[synchronized]
    pub(crate) fn effects_before_a_drop() {
        {
            let _guard = Guard;
            note(same(1));
        }
        note(same(2));
    }

    #[synchronized]
    pub(crate) fn callees_that_change() {
        let callbacks: [fn(u32); 2] = [note, |number| note(number + 100)];
        let mut at = 0;
        at += index(1);
        callbacks[at](same(5));
        let mut sum = 0;
        let mut add = move |number: u32| {
            sum += number;
            note(sum);
        };
        add(same(1));
        add(same(2));
    }

    pub(crate) fn emit(out: &mut Vec<u32>, number: u32) {
        out.push(number);
    }

    #[synchronized]
    pub(crate) fn lent_references(out: &mut Vec<u32>, mut call: impl FnMut(u32)) {
        for i in 0..3 {
            emit(out, ordinary(i));
            emit(out, same(i));
            call(ordinary(i));
        }
    }

    #[synchronized]
    pub(crate) fn a_branch_that_never_returns(text: &str) -> u32 {
        let number: u32 = match text.parse() {
            Ok(number) => number,
            Err(_) => {
                note(1);
                std::process::exit(1);
            }
        };
        number
    }

    #[synchronized]
    pub(crate) fn guards(pair: &std::sync::Mutex<Pair>) {
        let mut pair = pair.lock().unwrap();
        pair.items.push(same(1));
        pair.total += same(2);
    }

    #[synchronized]
    pub(crate) fn patterns_by_reference(mut number: Option<u32>) -> Option<u32> {
        if let Some(ref mut number) = number {
            *number = same(1);
        }
        number
    }

    #[synchronized]
    pub(crate) fn an_index_that_leaves(rows: &mut [Vec<u32>], keys: &[&str]) -> bool {
        for key in keys {
            let filled = fill(rows, key);
            if filled.is_err() {
                return false;
            }
        }
        true
    }

    #[synchronized]
    pub(crate) fn fill(rows: &mut [Vec<u32>], keys: &str) -> Result<(), std::num::ParseIntError> {
        for key in keys.split(' ') {
            rows[key.parse::<usize>()?].push(same(1));
        }
        Ok(())
    }

    #[synchronized]
    pub(crate) fn calls_inside_calls() -> Vec<u32> {
        let mut out = vec![];
        for number in 0..3 {
            note(same(noted()));
            both_of(noted(), same(number));
            both_of(same(number), noted());
        }
        note(same(0));
        let bound = same(noted());
        note(same(0));
        out.push(same(noted()));
        note(same(0));
        let collected: Vec<u32> = (0..2).map(|_| same(noted())).collect();
        note(same(0));
        out[noted() as usize / 1000] += same(noted());
        note(same(0));
        let mut rows = vec![vec![]; 100];
        rows[noted() as usize].push(same(1));
        out.push(bound);
        out.extend(collected);
        out.extend(rows.iter().map(|row| row.len() as u32));
        out
    }

    pub(crate) fn both_of(a: u32, b: u32) {
        note(a);
        note(b);
    }

    #[synchronized]
    pub(crate) fn guards_of_branches(lock: &std::sync::Mutex<u32>) {
        if let Some(_guard) = Some(Guard) {
            note(same(1));
        }
        match Some(Guard) {
            Some(_guard) => note(same(2)),
            None => note(0),
        }
        match lock.lock().map(|number| (*number, Guard)) {
            Ok((5, _)) => note(same(3)),
            _ => note(same(4)),
        }
        {
            let _guard = &Guard;
            note(same(5));
        }
        let mut guard = Some(Guard);
        assert!(guard.is_some());
        note(same(6));
        guard = None;
        note(same(7));
        assert!(guard.is_none());
    }

    #[concurrent(io)]
    pub(crate) fn lasting(seconds: u64) -> std::time::Duration {
        std::time::Duration::from_secs(seconds)
    }

    pub(crate) fn next(number: &mut usize) -> usize {
        *number += 1;
        *number - 1
    }

    /// The place is computed first, but for numbers.
    #[synchronized]
    pub(crate) fn places_before_values() -> (Vec<u64>, Vec<u32>, usize) {
        let mut times = vec![std::time::Duration::ZERO; 8];
        let mut sums = vec![0; 8];
        let mut at = 0;
        times[at] += lasting({
            at += 1;
            at as u64
        });
        times[next(&mut at)] += lasting(next(&mut at) as u64);
        sums[at] += same({
            at += 1;
            at as u32
        });
        sums[next(&mut at)] += same(next(&mut at) as u32);
        (times.iter().map(std::time::Duration::as_secs).collect(), sums, at)
    }

    #[synchronized]
    pub(crate) fn guards_in_lists() {
        for number in 0..2 {
            let mut guards = vec![];
            guards.push(Guard);
            note(same(number));
            let kept = vec![Guard];
            let keep = move || kept.len();
            note(same(number));
            let last;
            {
                last = Guard;
            }
            note(same(keep() as u32));
            let _ = &last;
        }
    }

    #[synchronized]
    pub(crate) fn captured_by_a_macro() -> u32 {
        let mut sum = 0;
        macro_rules! now {
            () => {
                sum
            };
        }
        sum += same(1);
        let show = move || now!();
        show()
    }

    #[synchronized]
    pub(crate) fn declared_by_a_macro() -> (u32, u32) {
        let mut number = 0;
        let mut inner = 0;
        {
            declare!(number = 5);
            number += same(2);
            inner += number;
        }
        number += same(1);
        (number, inner)
    }

    /// Its `iter` says what it gives.
    pub(crate) struct Inbox(pub(crate) u32);

    impl Inbox {
        pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
            (0..self.0).inspect(|number| note(100 + number))
        }
    }

    #[synchronized]
    pub(crate) fn answers(inbox: &Inbox) {
        for number in inbox.iter() {
            note(same(number));
        }
        for number in inbox.iter().take(2).enumerate() {
            note(same(number.1));
        }
        let guards = vec![Guard, Guard];
        for _guard in guards {
            note(same(1));
        }
    }

    pub(crate) fn named(name: String, number: u32) {
        note(name.len() as u32 + number);
    }

    pub(crate) fn named_for_ever(name: &'static str, number: u32) {
        note(name.len() as u32 + number);
    }

    pub(crate) fn with(number: u32, change: impl Fn(u32, u32) -> u32) {
        note(change(number, 1));
    }

    #[synchronized]
    pub(crate) fn arguments_of_every_kind(name: &str) {
        const NAME: &str = "constant";
        let times = 3;
        named(name.into(), same(1));
        named(Default::default(), same(2));
        named(name.parse().unwrap(), same(3));
        named(name.chars().collect(), same(4));
        named(String::from(name), same(5));
        named_for_ever("literal", same(6));
        named_for_ever(NAME, same(7));
        with(same(8), |number, one| number.max(one));
        with(same(9), |number, one| number * times + one);
    }

    pub(crate) struct Writer<'a> {
        data: &'a mut Vec<u32>,
    }

    #[synchronized]
    pub(crate) fn borrowed_by_a_field() -> Vec<u32> {
        let mut list = vec![];
        let writer = Writer { data: &mut list };
        writer.data.push(same(1));
        writer.data.push(same(2));
        let count = list.len() as u32;
        list.push(count);
        list
    }

    #[derive(Default)]
    pub(crate) struct Builder(Vec<u32>);

    impl Builder {
        pub(crate) fn add(&mut self, number: u32) {
            self.0.push(number);
        }

        pub(crate) fn finish(self) -> u32 {
            self.0.len() as u32
        }
    }

    #[synchronized]
    pub(crate) fn consumed_in_a_branch(is_said: bool) -> String {
        let mut text = String::new();
        let mut builder = Builder::default();
        builder.add(same(1));
        if is_said {
            text = format!("{}", builder.finish());
        }
        text
    }

    #[synchronized]
    pub(crate) fn operators_with_effects() -> Vec<u32> {
        let mut sums = [Loud(0), Loud(0)];
        let mut counts = vec![];
        for i in 0..4 {
            sums[i % 2] += same(i as u32);
            counts.push(noted());
        }
        counts.extend([sums[0].0, sums[1].0]);
        counts
    }

    #[synchronized]
    pub(crate) fn methods_of_own_traits() -> Vec<u32> {
        let mut list = vec![];
        let mut counts = vec![];
        for i in 0..3 {
            list.announce(same(i));
            counts.push(noted());
        }
        counts.append(&mut list);
        counts
    }

    #[synchronized]
    pub(crate) fn indexes_by_value() -> Table {
        let mut table = Table::default();
        for i in 0..4 {
            let name = String::from(if i % 2 == 0 { "even" } else { "odd" });
            table[name.clone()][0] += same(i);
            table[name].push(same(i));
        }
        table
    }

    pub(crate) fn row_of(rows: &mut [Vec<u32>], at: usize) -> &mut Vec<u32> {
        &mut rows[at]
    }

    #[synchronized]
    pub(crate) fn references_from_functions(mut rows: Vec<Vec<u32>>) -> usize {
        let row = row_of(&mut rows, 1);
        row[0] = same(1);
        rows.len()
    }

    #[synchronized]
    pub(crate) fn shared_sinks() -> Vec<u32> {
        let shared = Rc::new(RefCell::new(Vec::new()));
        let (a, b) = (shared.clone(), shared.clone());
        record(&a, same(1));
        record(&b, ordinary(2));
        shared.borrow().clone()
    }
}

/// Runs a program both ways, and compares what it gives and what it notes.
macro_rules! seen {
    ($($name:ident: |$module:ident| $run:expr;)*) => {$(
        #[test]
        fn $name() {
            deadline(|| {
                let serial = {
                    use serial as $module;
                    let given = $run;
                    (given, LOG.take())
                };
                let forked = {
                    use forked as $module;
                    let given = $run;
                    (given, LOG.take())
                };
                assert_eq!(forked, serial);
            });
        }
    )*};
}

seen! {
    calls_in_arms_without_braces: |it| it::arms_without_braces();
    calls_at_the_end_of_a_body: |it| it::bodies_without_semicolons();
    calls_in_arms_on_fields: |it| {
        let mut pair = Pair::default();
        (0..3).for_each(|k| it::fields_in_arms(&mut pair, k));
        pair
    };
    an_ordinary_error_that_leaves: |it| {
        let mut list = vec![];
        let left = [it::left_by_an_ordinary_error(&mut list, "7"), it::left_by_an_ordinary_error(&mut list, "no")];
        (list, left)
    };
    an_error_before_an_ordinary_call: |it| [1, 9].map(it::nothing_behind_an_error);
    a_jump_in_an_expression: |it| it::jumps_in_expressions(vec![1, 2].into_iter());
    statements_that_are_configured_out: |it| {
        let mut out = vec![];
        it::configured_out(&mut out);
        out
    };
    a_cell_that_is_given_to_a_function: |it| {
        let log = RefCell::new(vec![]);
        it::through_a_cell(&log);
        log.into_inner()
    };
    a_receiver_whose_index_has_effects: |it| it::receivers_with_effects();
    a_receiver_that_is_pending: |it| it::receivers_that_are_pending();
    an_effect_before_an_ordinary_call: |it| it::effects_before_an_ordinary_argument();
    an_effect_before_the_end_of_a_variable: |it| it::effects_before_a_drop();
    what_is_called_changes: |it| it::callees_that_change();
    what_is_lent_to_a_function: |it| {
        let (mut out, mut called) = (vec![], vec![]);
        it::lent_references(&mut out, |number| called.push(number));
        (out, called)
    };
    an_index_with_an_error_that_leaves: |it| {
        let mut rows = vec![vec![]; 3];
        let all = it::an_index_that_leaves(&mut rows, &["0 1 no 2", "2"]);
        (rows, all)
    };
    an_effect_before_calls_in_arguments: |it| it::calls_inside_calls();
    an_effect_before_the_guard_of_a_branch_ends: |it| it::guards_of_branches(&std::sync::Mutex::new(5));
    an_effect_before_the_next_round: |it| it::answers(&it::Inbox(3));
    a_place_that_is_computed_before_its_value: |it| it::places_before_values();
    an_effect_before_a_list_of_guards_ends: |it| it::guards_in_lists();
    a_variable_that_a_macro_captures: |it| it::captured_by_a_macro();
    a_variable_that_a_macro_declares: |it| it::declared_by_a_macro();
    arguments_beside_a_call: |it| it::arguments_of_every_kind("name");
    a_list_that_a_field_borrows: |it| it::borrowed_by_a_field();
    a_builder_that_is_consumed_in_a_branch: |it| [true, false].map(it::consumed_in_a_branch);
    an_operator_with_effects: |it| it::operators_with_effects();
    a_method_of_a_trait_with_effects: |it| it::methods_of_own_traits();
    an_index_that_is_taken_by_value: |it| it::indexes_by_value();
    a_branch_that_does_not_return: |it| it::a_branch_that_never_returns("5");
    fields_of_a_guard: |it| {
        let pair = std::sync::Mutex::new(Pair::default());
        it::guards(&pair);
        pair.into_inner().unwrap()
    };
    a_pattern_by_reference: |it| it::patterns_by_reference(Some(4));
    a_reference_that_a_function_gives: |it| it::references_from_functions(vec![vec![0], vec![0]]);
    a_sink_with_two_handles: |it| it::shared_sinks();
}
