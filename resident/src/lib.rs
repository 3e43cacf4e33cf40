//! What of the program's own file is in memory. For each page of it that is touched the system maps 16, and most were touched by the
//! start alone. The call that gives them back is not safe in general: it stands here, by itself.
#![cfg(target_os = "linux")]

use std::ffi::c_void;
use std::path::Path;

use procfs::ProcError;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rustix::io::Errno;
use rustix::mm::{Advice, madvise};

/// Why nothing, or not all, was given back.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system does not tell what is mapped.
    #[error(transparent)]
    Unknown(#[from] ProcError),
    /// The system does not take it.
    #[error(transparent)]
    Kept(#[from] Errno),
}

/// Gives back all pages of the program's file that are mapped to be read or executed, and are as they are in the file. Those that
/// are needed again come back one by one as they are touched, mostly from the system's cache of files. Returns how many bytes they were.
pub fn give_back() -> Result<u64, Error> {
    let process = Process::myself()?;
    let (program, maps) = (process.exe()?, process.smaps()?.into_iter().collect::<Vec<_>>());
    let mut given = 0;
    for map in image(&maps, &program, here()).iter().filter(|map| is_as_in_the_file(map)) {
        unmap(map)?;
        given += bytes(map, "Rss").unwrap_or_default();
    }
    Ok(given)
}

/// An address of the program's own code.
fn here() -> u64 {
    (give_back as fn() -> Result<u64, Error> as *const ()).addr() as u64
}

/// The mappings that the system made of the program's file to run it: those of its segments, in the order of the file, around an
/// address of its code. There may be others of the same file, which come and go: to name the functions of a backtrace, the standard
/// library maps all of it, from its beginning, and where that was may be anything a moment later.
fn image<'a>(maps: &'a [MemoryMap], program: &Path, code: u64) -> &'a [MemoryMap] {
    let is_of_it = |map: &MemoryMap| matches!(&map.pathname, MMapPath::Path(path) if path == program);
    let at = maps.iter().position(|map| (map.address.0..map.address.1).contains(&code));
    let Some(at) = at.filter(|at| is_of_it(&maps[*at])) else { return &[] };
    let goes_on = |index: &usize| {
        let (before, after) = (&maps[index - 1], &maps[*index]);
        is_of_it(before) && is_of_it(after) && after.offset > 0 && before.offset <= after.offset
    };
    let start = at - (1..=at).rev().take_while(goes_on).count();
    let end = at + 1 + (at + 1..maps.len()).take_while(goes_on).count();
    &maps[start..end]
}

/// Whether a mapping cannot be written, and was not: addresses that the linker put right can be read alone, too, and are nowhere but
/// in memory.
fn is_as_in_the_file(map: &MemoryMap) -> bool {
    map.perms.contains(MMPermissions::PRIVATE)
        && !map.perms.contains(MMPermissions::WRITE)
        && ["Anonymous", "Swap"].iter().all(|own| bytes(map, own) == Some(0))
}

fn bytes(map: &MemoryMap, of: &str) -> Option<u64> {
    map.extension.map.get(of).copied()
}

#[expect(unsafe_code, reason = "see below")]
fn unmap(map: &MemoryMap) -> Result<(), Errno> {
    let (start, end) = map.address;
    // SAFETY: this is a mapping of the program's own file which the system made when the program began, as it is in the image around
    // code that runs, and which lasts as long as the process: nobody puts another one in its place. No page of it was ever written,
    // so that all of them are what the file has there, and a file that is being executed cannot be written. Whoever touches a page
    // next finds what was there.
    unsafe { madvise(start as *mut c_void, (end - start) as usize, Advice::LinuxDontNeed) }
}

#[cfg(test)]
mod tests {
    use procfs::FromBufRead;
    use procfs::process::MemoryMaps;

    use super::*;

    #[test]
    fn what_was_written_or_is_not_of_the_program_is_left_alone() {
        let text = "\
1000-2000 r-xp 00000000 08:01 7 /bin/it\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB
2000-3000 r--p 00001000 08:01 7 /bin/it\nRss: 4 kB\nAnonymous: 4 kB\nSwap: 0 kB
3000-4000 r--p 00002000 08:01 7 /bin/it\nRss: 0 kB\nAnonymous: 0 kB\nSwap: 4 kB
4000-5000 r--p 00003000 08:01 7 /bin/it\nRss: 4 kB
5000-6000 rw-p 00004000 08:01 7 /bin/it\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB
6000-7000 r--s 00005000 08:01 7 /bin/it\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB
7000-8000 r-xp 00000000 08:01 8 /lib/libc.so.6\nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB
8000-9000 r-xp 00000000 00:00 0 \nRss: 4 kB\nAnonymous: 0 kB\nSwap: 0 kB
";
        let maps = MemoryMaps::from_buf_read(text.as_bytes()).expect("it is as the system writes it");
        let maps: Vec<_> = maps.into_iter().collect();
        let given = image(&maps, Path::new("/bin/it"), 0x1800).iter().filter(|map| is_as_in_the_file(map));
        assert_eq!(given.map(|map| map.address).collect::<Vec<_>>(), [(0x1000, 0x2000)]);
    }

    #[test]
    fn what_else_is_mapped_of_the_program_is_left_alone() {
        // As the standard library maps it for a backtrace: all of the file, beside the image or far away.
        let text = "\
1000-4000 r--p 00000000 08:01 7 /bin/it
4000-5000 r--p 00000000 08:01 7 /bin/it
5000-6000 r-xp 00001000 08:01 7 /bin/it
7000-8000 r--p 00002000 08:01 7 /bin/it
8000-9000 rw-p 00002000 08:01 7 /bin/it
9000-c000 r--p 00000000 08:01 7 /bin/it
c000-d000 r--p 00001000 08:01 8 /lib/libc.so.6
d000-f000 r--p 00000000 08:01 7 /bin/it
";
        let maps = MemoryMaps::from_buf_read(text.as_bytes()).expect("it is as the system writes it");
        let maps: Vec<_> = maps.into_iter().collect();
        let of = |code| image(&maps, Path::new("/bin/it"), code).iter().map(|map| map.address.0).collect::<Vec<_>>();
        for code in [0x4000, 0x5800, 0x8fff] {
            assert_eq!(of(code), [0x4000, 0x5000, 0x7000, 0x8000], "{code:x}");
        }
        assert_eq!(of(0xc800), [0; 0], "it is no code of the program");
        assert_eq!(of(0x6800), [0; 0], "nothing is there");
    }

    fn resident() -> u64 {
        let process = Process::myself().expect("there is /proc");
        let program = process.exe().expect("a program");
        let maps: Vec<_> = process.smaps().expect("it can be read").into_iter().collect();
        let given = image(&maps, &program, here()).iter().filter(|map| is_as_in_the_file(map));
        given.map(|map| bytes(map, "Rss").expect("it is told")).sum()
    }

    /// That it takes less then is tested with the whole program: here other tests run beside it, and touch what they need.
    #[test]
    fn what_the_start_alone_needed_is_given_back_and_the_program_goes_on() {
        assert!(give_back().expect("it is taken") > 0);
        assert!(resident() > 0);
    }
}
