//! What a program is built from: the commit and the branch of the folder that its `Cargo.toml` stands in, and the compiler.
//!
//! A macro and no build script: only the crate that calls it is compiled again when the commit changes.

mod commit;

use std::path::{Path, PathBuf};

use commit::Commit;
use proc_macro::TokenStream;

/// An expression of type `[&'static str; 3]`: the commit, the branch, and the version of the compiler. What is not known is
/// `unknown`.
///
/// The environment of the compiler comes first (`ROSTERD_REVISION`, `ROSTERD_BRANCH`), then a git checkout, then what
/// `git archive` has put into `archive.txt`, then what cargo has put into a package.
#[proc_macro]
pub fn revision(_: TokenStream) -> TokenStream {
    #[expect(clippy::disallowed_methods, reason = "cargo speaks to macros by the environment")]
    let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let found = folder.as_deref().map(Commit::at).unwrap_or_default();
    code(&found).parse().unwrap_or_default()
}

/// Cargo compiles anew what includes files when these change.
fn code(found: &Commit) -> String {
    let included = |path: &PathBuf| Some(format!("const _: &[u8] = include_bytes!({:?});", whole(path)?));
    let included: String = found.files.iter().filter_map(included).collect();
    let told = |variable: &str, found: &Option<String>| {
        let found = found.as_deref().unwrap_or("unknown");
        format!("match option_env!({variable:?}) {{ Some(told) if !told.is_empty() => told, _ => {found:?} }}")
    };
    let (revision, branch) = (told("ROSTERD_REVISION", &found.revision), told("ROSTERD_BRANCH", &found.branch));
    format!("{{ {included} [{revision}, {branch}, {:?}] }}", env!("ROSTERD_RUSTC"))
}

fn whole(path: &Path) -> Option<String> {
    std::path::absolute(path).ok()?.to_str().map(str::to_owned)
}
