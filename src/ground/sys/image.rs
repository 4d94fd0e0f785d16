//! Code as two processes of the same binary can name it: a module and an offset, never an address.
//!
//! The loader puts a program at another place in every run, so an address means nothing elsewhere (faults.md,
//! trap 3 and contract C5). Owns the translation, and a fingerprint by which two processes see that they are
//! the same build. Promises that a number from a peer gives an address within executable code or nothing.
//! Modules count in the order of `dl_iterate_phdr`: the program, the libraries it was linked with, then what
//! it loaded itself. The last part may differ between two processes; an offset into it then resolves to a
//! wrong name, and to no worse. Leaves out names and lines.

#![expect(unsafe_code, reason = "the loader's tables and the text of the program are read through pointers")]

#[cfg(target_pointer_width = "32")]
use libc::Elf32_Phdr as Segment;
#[cfg(target_pointer_width = "64")]
use libc::Elf64_Phdr as Segment;
use std::ops::{ControlFlow, Range};
use std::{ptr, slice};

/// A place in the code, the same in every process of a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CodeAddress {
    /// 0 for the main program.
    pub(crate) module: u32,
    /// From where the loader put the module.
    pub(crate) offset: u64,
}

/// Names the place of an instruction; `None` if it is in no module, for instance in code made at run time.
pub(crate) fn locate(ip: usize) -> Option<CodeAddress> {
    find_module(|index, module| {
        let offset = ip.wrapping_sub(module.base);
        module.has_code_at(offset).then_some(CodeAddress { module: index, offset: offset as u64 })
    })
}

/// Where that place is in this process; `None` unless it lies in executable code of a module that is here.
pub(crate) fn address(place: CodeAddress) -> Option<usize> {
    let offset = usize::try_from(place.offset).ok()?;
    find_module(|index, module| (index == place.module).then(|| module.address_of_code(offset))).flatten()
}

/// Where the loader put the main program, and the addresses of its code; of the first piece, if a linker made several.
pub(crate) fn main_code() -> Option<(usize, Range<usize>)> {
    find_module(|_, module| {
        let code = module.loaded().find(|segment| is_code(segment)).map(span);
        Some(code.map(|code| {
            (module.base, module.base.wrapping_add(code.start)..module.base.wrapping_add(code.end))
        }))
    })
    .flatten()
}

/// Whether something of ours lies in the main program, and not in a library that it loaded: such a library is
/// absent from a fresh process, so nothing of it can run in a worker (faults.md, row 81).
pub(crate) fn is_main_image(address_of_ours: *const ()) -> bool {
    let offset_in = |module: &Module<'_>| address_of_ours.addr().wrapping_sub(module.base);
    find_module(|index, module| {
        (index == 0).then(|| module.loaded().any(|segment| span(segment).contains(&offset_in(module))))
    }) == Some(true)
}

/// A number that two builds of a program share only by a rare accident, and two runs of one build always.
///
/// Covers the sizes and places of all segments, the linker's build id where there is one (rustc asks for
/// none, some distributions' linkers do it by themselves), and samples of the machine code: hashing all of it
/// would cost milliseconds in every worker. Only what the loader does not write to. A debugger's breakpoint
/// on a sampled byte makes the two sides differ.
pub(crate) fn build_fingerprint() -> u64 {
    let mut hash = Fnv::new();
    find_module(|_, module| {
        for segment in module.segments {
            hash.bytes(&segment.p_type.to_le_bytes());
            hash.bytes(&segment.p_vaddr.to_le_bytes());
            hash.bytes(&segment.p_memsz.to_le_bytes());
            hash.bytes(&segment.p_flags.to_le_bytes());
        }
        for segment in module.of_type(libc::PT_NOTE) {
            if let Some(id) = build_id(module.bytes(segment), segment.p_align as usize) {
                hash.bytes(id);
            }
        }
        for segment in module.loaded().filter(|segment| is_code(segment)) {
            let code = module.bytes(segment);
            for sample in samples(code.len()) {
                hash.bytes(&code[sample]);
            }
        }
        Some(())
    });
    hash.0
}

/// The first page, and pieces at even distances behind it.
fn samples(length: usize) -> impl Iterator<Item = Range<usize>> {
    const FIRST: usize = 4096;
    const COUNT: usize = 64;
    const PIECE: usize = 64;
    let first = length.min(FIRST);
    let step = ((length - first) / COUNT).max(PIECE);
    let pieces = (first..length).step_by(step).map(move |start| start..length.min(start + PIECE));
    std::iter::once(0..first).chain(pieces)
}

/// The build id in a segment of notes: entries of three numbers (lengths of name and content, type), the
/// name, the content, both padded.
fn build_id(mut notes: &[u8], align: usize) -> Option<&[u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    let padded = |length: u32| (length as usize).checked_next_multiple_of(if align == 8 { 8 } else { 4 });
    loop {
        let (header, rest) = notes.split_first_chunk::<12>()?;
        let word =
            |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let (name, rest) = rest.split_at_checked(padded(word(0))?)?;
        let content = rest.get(..word(4) as usize)?;
        if word(8) == NT_GNU_BUILD_ID && name.starts_with(b"GNU\0") {
            return Some(content);
        }
        notes = rest.get(padded(word(4))?..)?;
    }
}

/// FNV-1a with 64 bits: tiny, fixed for ever, and nobody chooses the input.
struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// One loaded program or library, as long as the loader's lock is held.
struct Module<'a> {
    /// What is added to the addresses in the file.
    base: usize,
    segments: &'a [Segment],
}

impl<'a> Module<'a> {
    fn of_type(&self, wanted: u32) -> impl Iterator<Item = &'a Segment> + use<'a> {
        self.segments.iter().filter(move |segment| segment.p_type == wanted)
    }

    fn loaded(&self) -> impl Iterator<Item = &'a Segment> + use<'a> {
        self.of_type(libc::PT_LOAD)
    }

    fn has_code_at(&self, offset: usize) -> bool {
        self.loaded().any(|segment| is_code(segment) && span(segment).contains(&offset))
    }

    fn address_of_code(&self, offset: usize) -> Option<usize> {
        self.has_code_at(offset).then(|| self.base.wrapping_add(offset))
    }

    /// What stands in memory of a segment that the loader maps readable and nobody writes to.
    fn bytes(&self, segment: &Segment) -> &'a [u8] {
        let is_readable = segment.p_flags & libc::PF_R != 0 && segment.p_flags & libc::PF_W == 0;
        if !is_readable {
            // Code that can be executed but not read stays out of the fingerprint.
            return &[];
        }
        let start = ptr::with_exposed_provenance(self.base.wrapping_add(segment.p_vaddr as usize));
        // SAFETY: the loader has mapped `p_filesz` bytes of the module there, readable and not writable, and
        // keeps them while the callback of `dl_iterate_phdr` runs, which is as long as `'a`.
        unsafe { slice::from_raw_parts(start, segment.p_filesz as usize) }
    }
}

fn is_code(segment: &Segment) -> bool {
    segment.p_flags & libc::PF_X != 0
}

fn span(segment: &Segment) -> Range<usize> {
    let start = segment.p_vaddr as usize;
    start..start.saturating_add(segment.p_memsz as usize)
}

/// Shows the modules in order until `found` gives something. The loader's lock is held meanwhile: `found`
/// must be short and must not load anything.
fn find_module<T>(mut found: impl FnMut(u32, &Module<'_>) -> Option<T>) -> Option<T> {
    let (mut index, mut answer) = (0, None);
    each_module(&mut |module| {
        answer = found(index, module);
        index += 1;
        if answer.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    answer
}

type Visit<'a> = &'a mut dyn FnMut(&Module<'_>) -> ControlFlow<()>;

fn each_module(mut visit: Visit<'_>) {
    /// Not to be unwound out of: a panic in it ends the process, as the ABI says.
    unsafe extern "C" fn show(
        info: *mut libc::dl_phdr_info,
        _: usize,
        data: *mut libc::c_void,
    ) -> libc::c_int {
        // SAFETY: the loader passes a valid `info` and, as `data`, what `each_module` gave it: a pointer to
        // its `visit`, which is alive and not used until `dl_iterate_phdr` returns.
        let (info, visit) = unsafe { (&*info, &mut *data.cast::<Visit<'_>>()) };
        let segments = if info.dlpi_phdr.is_null() {
            &[]
        } else {
            // SAFETY: the loader's table of this module has `dlpi_phnum` entries, and stays while the lock is
            // held.
            unsafe { slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)) }
        };
        let module = Module { base: info.dlpi_addr as usize, segments };
        libc::c_int::from(visit(&module).is_break())
    }
    // SAFETY: `show` has the type asked for and `visit` outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(show), (&raw mut visit).cast()) };
}

#[cfg(all(test, not(xfork_loom)))]
mod tests {
    use super::super::role;
    use super::super::socket::send_all;
    use super::*;
    use std::os::fd::AsFd;
    use std::time::Instant;

    const HERE: &str = module_path!();

    fn here() -> usize {
        here as fn() -> usize as usize
    }

    fn in_libc() -> usize {
        libc::getpid as unsafe extern "C" fn() -> libc::pid_t as usize
    }

    #[test]
    fn a_place_in_the_program_and_in_a_library_goes_there_and_back() {
        let place = locate(here() + 1).unwrap();
        assert_eq!(place.module, 0);
        assert_eq!(address(place), Some(here() + 1));
        let place = locate(in_libc()).unwrap();
        assert_eq!(address(place), Some(in_libc()));
    }

    #[test]
    fn data_and_heap_are_no_code() {
        static DATA: u8 = 0;
        let boxed = Box::new(0u8);
        assert_eq!(locate(&raw const DATA as usize), None);
        assert_eq!(locate(&raw const *boxed as usize), None);
        assert_eq!(locate(0), None);
        assert_eq!(locate(usize::MAX), None);
    }

    /// faults.md, contract C5: "no address, path or fd from a peer is ever used".
    #[test]
    fn hostile_numbers_give_code_or_nothing() {
        let module = locate(here()).unwrap().module;
        for offset in [0, 1, u64::MAX, u64::MAX - 8, 1 << 63, here() as u64] {
            assert_eq!(address(CodeAddress { module, offset }), None, "{offset:#x}");
        }
        for module in [1_000, u32::MAX] {
            assert_eq!(address(CodeAddress { module, offset: 4096 }), None);
        }
        let mut state = 1u64;
        for _ in 0..10_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let place = CodeAddress { module: (state >> 62) as u32, offset: state >> 40 };
            if let Some(ip) = address(place) {
                assert_eq!(locate(ip), Some(place));
            }
        }
    }

    #[test]
    fn our_code_and_data_are_in_the_main_image_and_the_c_library_is_not() {
        static DATA: u8 = 0;
        assert!(is_main_image(ptr::without_provenance(here())));
        assert!(is_main_image((&raw const DATA).cast()));
        assert!(!is_main_image(ptr::without_provenance(&raw const *Box::new(0) as usize)));
        if cfg!(not(target_feature = "crt-static")) {
            assert!(!is_main_image(ptr::without_provenance(in_libc())));
        }
    }

    #[test]
    #[ignore = "a role for other tests, played in a process of its own"]
    fn role_tells_where_it_is() {
        let Some(stage) = role::stage() else { return };
        let told = format!("{:x} {:?} {:x}", build_fingerprint(), locate(here()).unwrap(), here());
        send_all(stage.as_fd(), told.as_bytes()).unwrap();
        role::leave(0);
    }

    #[test]
    fn fingerprint_and_places_are_the_same_in_every_run_and_addresses_are_not() {
        let runs: Vec<String> = (0..3)
            .map(|_| {
                let (mut child, stage) = role::play(HERE, "role_tells_where_it_is");
                String::from_utf8(role::told(&mut child, stage)).unwrap()
            })
            .collect();
        let expected = format!("{:x} {:?}", build_fingerprint(), locate(here()).unwrap());
        for run in &runs {
            assert_eq!(run.rsplit_once(' ').unwrap().0, expected);
        }
        let is_randomised = std::fs::read_to_string("/proc/sys/kernel/randomize_va_space")
            .is_ok_and(|text| text.trim() != "0");
        // A build without `-C relocation-model=pic` stays where it was linked to.
        let is_movable = here() as u64 != locate(here()).unwrap().offset;
        if is_randomised && is_movable {
            assert!(runs.iter().any(|run| *run != runs[0]), "{runs:?}");
        }
    }

    #[test]
    fn the_fingerprint_costs_less_than_a_millisecond() {
        // The best of many: the machine may do other things meanwhile.
        let best = (0..20)
            .map(|_| {
                let before = Instant::now();
                std::hint::black_box(build_fingerprint());
                before.elapsed()
            })
            .min()
            .unwrap();
        assert!(best.as_micros() < 1000, "{best:?}");
    }

    #[test]
    fn samples_cover_the_first_page_and_never_leave_the_code() {
        for length in [0, 1, 100, 4096, 4097, 10_000, 1 << 20, (1 << 30) + 7] {
            let all: Vec<_> = samples(length).collect();
            assert_eq!(all[0], 0..length.min(4096));
            assert!(all.len() <= 66);
            assert!(all.iter().all(|sample| sample.start <= sample.end && sample.end <= length));
            if length > 1 << 20 {
                assert!(all.last().unwrap().start > length - length / 32);
            }
        }
    }

    #[test]
    fn the_build_id_is_found_behind_other_notes_and_broken_notes_give_nothing() {
        let note = |name: &[u8], kind: u32, content: &[u8]| {
            let mut bytes = Vec::new();
            for number in [name.len() as u32, content.len() as u32, kind] {
                bytes.extend(number.to_ne_bytes());
            }
            for part in [name, content] {
                bytes.extend(part);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
            bytes
        };
        let mut notes = note(b"stapsdt\0", 3, b"abc");
        notes.extend(note(b"GNU\0", 1, b"12345"));
        notes.extend(note(b"GNU\0", 3, b"the id"));
        assert_eq!(build_id(&notes, 4), Some(&b"the id"[..]));
        for length in 0..notes.len() - 2 {
            assert_eq!(build_id(&notes[..length], 4), None);
        }
        assert_eq!(build_id(&[0xff; 40], 8), None);
    }
}
