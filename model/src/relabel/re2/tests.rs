use proptest::prelude::*;

use super::*;
use crate::relabel::Pattern;

/// Expressions, texts that they match from end to end, and texts that they do not.
const MEANINGS: &[(&str, &[&str], &[&str])] = &[
    // Quotes
    (r"\Qa.b\E+", &["a.b", "a.bb"], &["axb"]),
    (r"\Q\E", &[""], &["a"]),
    (r"x\Q*\Ey", &["x*y"], &["xxy"]),
    // Escapes of characters
    (r"\x41\x{42}\x{1F600}", &["AB😀"], &["ab😀"]),
    (r"\101\0\012", &["A\0\n"], &["101"]),
    (r"\a\f\n\r\t\v", &["\x07\x0c\n\r\t\x0b"], &[""]),
    (r"\_\-\/\#\ \<\>\&\~", &["_-/# <>&~"], &[""]),
    (r"\x{D800}|a", &["a"], &["", "\u{fffd}"]),
    // Perl classes are ASCII
    (r"\d+", &["09"], &["٣"]),
    (r"\w+", &["aZ_9"], &["é", "-"]),
    (r"\s+", &[" \t\n\r\x0c"], &["\x0b", "\u{a0}"]),
    (r"\D\W\S", &["é٣é"], &["1é ", "éa1"]),
    (r"[\d\s]+", &["1 2"], &["٣"]),
    (r"[^\w]", &["é", "-"], &["a"]),
    (r"[\W1]", &["é", "1"], &["2"]),
    (r"a\b-\Bb|é\b", &[], &["a-b", "é"]),
    (r"a\b.*", &["a", "aé", "a-"], &["ab"]),
    (r"a\B.*", &["ab"], &["a", "aé"]),
    // POSIX classes
    (r"[[:word:]]+", &["a_9"], &["é"]),
    (r"[[:^alpha:]x]+", &["1é-x"], &["a"]),
    (r"[[:punct:]]+", &[r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##], &["a", " "]),
    (r"[[:space:]]", &["\x0b", " "], &["\u{a0}"]),
    (r"[[:blank:][:cntrl:]]+", &["\t \x00\x7f"], &["a"]),
    (r"[[:graph:]][[:print:]][[:ascii:]]", &["! \x00"], &["  \x00"]),
    (r"[[:xdigit:][:upper:]]+", &["09afAFZ"], &["g"]),
    // Unicode classes
    (r"\pL\PL\p{Lu}\p{^Lu}\P{^Lu}", &["é1ÉéÉ"], &["11ÉéÉ"]),
    (r"\p{Greek}[\p{Latin}\pN]+", &["λa9"], &["aa9"]),
    (r"\p{Any}[^\p{Cs}]", &["aé"], &["a"]),
    (r"\p{Cs}?", &[""], &["a"]),
    // Brackets are literal where the regex crates see set operations
    ("[a&&b]+", &["a&b"], &["c"]),
    ("[--b]+", &["-.Ab"], &["c"]),
    ("[a~~b]+", &["a~b"], &["c"]),
    ("[a[b]+", &["a[b"], &["]"]),
    ("[]a]+", &["]a"], &["["]),
    ("[^]a]+", &["b"], &["]"]),
    ("[a-]+", &["a-"], &["b"]),
    ("[-a]+", &["a-"], &["b"]),
    (r"[\d-z]+", &["1-z"], &["a"]),
    ("[+--]+", &["+,-"], &["."]),
    ("[a^]+", &["a^"], &["b"]),
    (r"[\]\-\\\^]+", &[r"]-\^"], &["a"]),
    (r"[\x{D7FF}-\x{E000}]", &["\u{d7ff}", "\u{e000}"], &["a"]),
    (r"[\x{D800}-\x{DFFF}]|[^\x{D800}]", &["a"], &[""]),
    (r"[[:foo]+", &["[:fo"], &["]"]),
    ("[# \t]+", &["# \t"], &["a"]),
    // Braces that are no counts
    ("a{,2}", &["a{,2}"], &["aa"]),
    ("a{", &["a{"], &["a"]),
    ("a{x}{", &["a{x}{"], &[""]),
    ("a{01}", &["a{01}"], &["a"]),
    ("{}", &["{}"], &[""]),
    (r"a\b{start}", &["a{start}"], &["a"]),
    ("a{2}b{1,}c{0,1}?", &["aab", "aabbc"], &["ab", "aabcc"]),
    // Groups and flags
    ("(?P<a>x)(?<b>y)(?P<1a>z)(?P<a>z)", &["xyzz"], &[""]),
    ("(?i)é(?-i)b", &["éb", "Éb"], &["éB"]),
    ("(?i:k)k", &["Kk", "\u{212a}k"], &["KK"]),
    (r"(?i)[^k]\W", &["a-"], &["\u{212a}-", "a\u{212a}"]),
    ("a(?i)b|c", &["aB", "C"], &["AB"]),
    ("(?)a", &["a"], &[""]),
    ("(?i-i)a(?ii)b", &["aB"], &["Ab"]),
    ("(?-s)a.b", &["axb"], &["a\nb"]),
    ("a.b", &["a\nb"], &["ab"]),
    ("(?m)a$\n^b", &["a\nb"], &["ab"]),
    (r"(?s-m:\Aa\z)", &["a"], &["a\n"]),
    ("(?U)a*b", &["aab"], &["a"]),
    ("^*a$?", &["a"], &[""]),
    ("()|a||(?:)", &["", "a"], &["b"]),
    ("]}", &["]}"], &[""]),
];

#[test]
fn expressions_mean_what_they_mean_in_re2() {
    for (regex, matching, others) in MEANINGS {
        let pattern = Pattern::compile(regex).unwrap_or_else(|error| panic!("{regex}: {error}"));
        matching.iter().for_each(|text| assert!(pattern.is_match(text), "{regex} should match {text:?}"));
        others.iter().for_each(|text| assert!(!pattern.is_match(text), "{regex} should not match {text:?}"));
    }
}

#[test]
fn what_re2_refuses_is_refused_with_its_place() {
    for (regex, problem, at) in [
        ("a(b", "missing closing )", 1),
        ("(a(b)", "missing closing )", 0),
        ("a)", "unexpected )", 1),
        ("a)|(b", "unexpected )", 1),
        ("ab[c", "missing closing ]", 2),
        ("[]", "missing closing ]", 0),
        ("[b-a]", "invalid range of characters", 1),
        (r"[a-\d]", "invalid escape", 3),
        ("[[:foo:]]", "unknown POSIX class", 1),
        (r"\pX", "unknown Unicode class", 0),
        (r"a\p{Alphabetic}", "unknown Unicode class", 1),
        (r"\p{L", "unknown Unicode class", 0),
        (r"\p", "unknown Unicode class", 0),
        ("*", "nothing to repeat", 0),
        ("a|+", "nothing to repeat", 2),
        ("(?i)*", "nothing to repeat", 4),
        ("a**", "a repetition cannot be repeated", 2),
        ("a{2}{3}", "a repetition cannot be repeated", 4),
        ("a*??", "a repetition cannot be repeated", 3),
        (r"a\", "trailing backslash", 1),
        (r"\q", "invalid escape", 0),
        (r"\1", "invalid escape", 0),
        (r"\8", "invalid escape", 0),
        (r"\C", "invalid escape", 0),
        (r"\Z", "invalid escape", 0),
        (r"\x4", "invalid escape", 0),
        (r"\x{}", "invalid escape", 0),
        (r"\x{110000}", "invalid escape", 0),
        (r"\é", "invalid escape", 0),
        (r"[\Qa\E]", "invalid escape", 1),
        (r"a\Qb", r"missing \E after \Q", 1),
        ("(?P<>a)", "invalid name of a group", 0),
        ("(?P<a-b>c)", "invalid name of a group", 0),
        ("(?<a", "invalid name of a group", 0),
    ] {
        assert_eq!(translate(regex).unwrap_err(), error(problem, at), "{regex}");
    }
    for regex in ["(?=a)", "(?!a)", "(?<=a)", "(?P=a)", "(?>a)", "(?x)a", "(?i-)", "(?-:a)", "(?i--s)", "(?"] {
        assert!(translate(regex).is_err(), "{regex}");
    }
    for regex in ["a{1001}", "a{2,1}", "(a{10}){101}", "(?:(a{10}b){10}c){11}", "a{1,99999999999}", "a{5000,}"] {
        assert!(translate(regex).unwrap_err().problem.starts_with("invalid repeat count"), "{regex}");
    }
    for regex in ["a{1000}", "(a{10}){100}", "(a{10}b{100}){10}", "(a{1000}){1}", "(a{1000})*", "(a{1000}){0}"] {
        assert!(translate(regex).is_ok(), "{regex}");
    }
}

#[test]
fn deep_groups_are_read_or_refused() {
    let nested = |depth: usize| "(".repeat(depth) + "a" + &")".repeat(depth);
    assert!(Pattern::compile(&nested(900)).unwrap().is_match("a"));
    assert_eq!(translate(&nested(2000)).unwrap_err().problem, "groups nest too deeply");
}

#[test]
fn names_of_groups_are_kept_apart() {
    let translated = translate("(?P<a>x)(y)(?:z)(?<1>w)").unwrap();
    let names: Vec<_> = translated.names.iter().map(|name| name.as_deref()).collect();
    assert_eq!(names, [Some("a"), None, Some("1")]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_translation_never_panics_and_is_always_well_formed(
        parts in prop::collection::vec(
            prop_oneof![
                prop::sample::select(vec![
                    "(", ")", "(?i)", "(?P<a>", "(?:", "(?s-U:", "[", "]", "[^", "[:alpha:]", "-", "^", "$", "|", "*", "+",
                    "?", "{2}", "{1,3}", "{,", "}", r"\", r"\Q", r"\E", r"\d", r"\W", r"\b", r"\B", r"\pL", r"\P{Greek}",
                    r"\x{41}", r"\x7", r"\12", "&&", "--", "~~", ".", "a", "é", "\n", " ", "#",
                ]).prop_map(str::to_owned),
                ".{0,2}",
            ],
            0..12,
        )
    ) {
        let regex = parts.concat();
        if let Ok(translated) = translate(&regex) {
            let read = regex_syntax::parse(&translated.text);
            prop_assert!(read.is_ok(), "{:?} -> {:?}: {:?}", regex, translated.text, read);
        }
    }
}
