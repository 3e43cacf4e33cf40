//! What fuzzing runs, and stable tests with it: any bytes as a list of target groups.

use std::io::{self, Read};
use std::path::Path;

use rosterd_model::TargetGroup;

use crate::decode::{DecodeError, json_groups, json_groups_from, yaml_groups};

const SOURCE: &str = "list";
const EXTRA: [(&str, &str); 1] = [("__meta_from", SOURCE)];

/// A text that comes in pieces of so many bytes.
struct Bitten<'a>(&'a [u8], usize);

impl Read for Bitten<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (piece, rest) = self.0.split_at(self.1.min(self.0.len()).min(into.len()));
        into[..piece.len()].copy_from_slice(piece);
        self.0 = rest;
        Ok(piece.len())
    }
}

/// Reads a list in JSON, at once and piece by piece: both give the same. The first byte says how large the pieces are.
pub fn json(bytes: &[u8]) {
    let Some((&size, text)) = bytes.split_first() else { return };
    let whole = json_groups(text, SOURCE, &EXTRA);
    let pieces = Bitten(text, usize::from(size).max(1));
    let pieces = json_groups_from(pieces, SOURCE, &EXTRA).expect("nothing fails to be read");
    match (&whole, &pieces) {
        (Ok(whole), Ok(pieces)) => assert_eq!(whole, pieces),
        (Err(whole), Err(pieces)) => assert_eq!(whole.to_string(), pieces.to_string()),
        _ => panic!("at once: {whole:?}, piece by piece: {pieces:?}"),
    }
    look(whole, text);
}

/// Reads a list in YAML.
pub fn yaml(bytes: &[u8]) {
    look(yaml_groups(bytes, SOURCE, &EXTRA), bytes);
}

/// What holds for every list.
fn look(list: Result<Vec<TargetGroup>, DecodeError>, text: &[u8]) {
    let groups = match list {
        Ok(groups) => groups,
        Err(error) => {
            let problems = error.problems(Path::new(SOURCE));
            assert!(!problems.is_empty());
            let lines = text.split(|byte| matches!(byte, b'\n' | b'\r')).count() + 1;
            assert!(problems.iter().all(|it| it.line <= lines && !it.message.is_empty()), "{lines} {problems:?}");
            return;
        }
    };
    let mut names: Vec<_> = groups.iter().filter(|group| !group.targets.is_empty()).map(|it| &it.key).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "two groups have one name");
    for group in &groups {
        assert_eq!(group.labels.get(EXTRA[0].0), Some(SOURCE));
        assert!(group.labels.iter().all(|(name, _)| !name.is_empty()));
    }
}
