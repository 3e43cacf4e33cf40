//! The guard of contexts: those of the agent know each other in one direction only.

use std::path::Path;

use super::{broken, is_test_file};

/// The folders of `src`, each with those that its code may know.
const KNOWS: [(&str, &[&str]); 10] = [
    ("problem", &[]),
    ("store", &[]),
    ("web", &["problem"]),
    ("reconcile", &["store"]),
    ("roster", &["store"]),
    ("publish", &["reconcile", "roster", "store"]),
    ("scrape", &["roster"]),
    ("api", &["problem", "publish", "reconcile", "roster", "scrape"]),
    ("agent", &["api", "publish", "reconcile", "roster", "scrape", "store", "web"]),
    ("cli", &["agent", "api", "publish", "roster", "store", "web"]),
];
/// Put together so that this file may be looked at, too.
const CRATE: &str = concat!("crate", "::");

/// The lines of a file that name a context which that of the file must not know. Test code stands at its end.
fn violations(name: &Path, text: &str) -> Vec<usize> {
    let Ok(below) = name.strip_prefix("src") else { return Vec::new() };
    let context = below.components().next().map(|first| first.as_os_str().to_string_lossy().into_owned());
    let context = context.unwrap_or_default();
    let Some((_, known)) = KNOWS.iter().find(|(of, _)| *of == context.trim_end_matches(".rs")) else {
        return Vec::new();
    };
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let is_bad = |line: &str| {
        let named = line.split(CRATE).skip(1);
        let named = named.flat_map(|rest| match rest.strip_prefix('{') {
            Some(several) => several.split([',', '}']).map(str::trim_start).collect::<Vec<_>>(),
            None => vec![rest],
        });
        let named = named.map(|rest| rest.split(|it: char| !is_name(it)).next().unwrap_or_default());
        let mut others = named.filter(|named| *named != context && KNOWS.iter().any(|(of, _)| of == named));
        !line.trim_start().starts_with("//") && others.any(|named| !known.contains(&named))
    };
    code.lines().enumerate().filter(|(_, line)| is_bad(line)).map(|(index, _)| index + 1).collect()
}

fn is_name(letter: char) -> bool {
    letter == '_' || letter.is_ascii_alphanumeric()
}

#[test]
fn contexts_point_one_way() {
    let of_file = |name: &Path, text: &str| if is_test_file(name) { Vec::new() } else { violations(name, text) };
    let found = broken(&["tests"], "src/roster/presence.rs", of_file);
    assert!(
        found.is_empty(),
        "a context knows another one here that it must not know:\n  {}\nwhat both need belongs to the lower one; who may know whom \
         stands in {}",
        found.join("\n  "),
        file!()
    );
}

#[test]
fn each_context_knows_only_those_before_it() {
    for (index, (context, known)) in KNOWS.iter().enumerate() {
        let before: Vec<_> = KNOWS[..index].iter().map(|(before, _)| *before).collect();
        assert!(known.iter().all(|known| before.contains(known)), "{context}");
    }
}

#[test]
fn the_guard_finds_who_knows_whom() {
    let lines = |name: &str, line: &str| violations(Path::new(name), &format!("\n{line}\n"));
    for bad in ["use x::api::State;", "    x::web::Server::new();", "use x::{store, web};", "use x::agent;"] {
        assert_eq!(lines("src/roster/view.rs", &bad.replace("x::", CRATE)), [2], "{bad}");
    }
    for fine in
        ["use x::roster::view;", "use x::store::Blocks;", "use x::{store, roster};", "// x::api", "use x::revision;"]
    {
        assert_eq!(lines("src/roster/view.rs", &fine.replace("x::", CRATE)), [], "{fine}");
    }
    assert_eq!(lines("src/problem/mod.rs", &format!("use {CRATE}store::X;")), [2]);
    assert_eq!(lines("src/main.rs", &format!("use {CRATE}cli::run;")), []);
    assert_eq!(lines("client/src/web.rs", &format!("use {CRATE}api::X;")), []);
    assert_eq!(lines("src/store/a.rs", &format!("#[cfg(test)]\nmod tests {{\n    use {CRATE}api::X;\n}}")), []);
}
