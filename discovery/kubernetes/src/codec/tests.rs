//! What is written comes back, in as few bytes as it should take.

use proptest::prelude::*;

use super::{Field, In, Interner, Out, Str};

fn size(text: &str, interner: &mut Interner) -> usize {
    let mut bytes = Vec::new();
    Out::compact(&mut bytes, interner).text(text);
    let read = In::new(&bytes, interner).text().expect(text);
    assert_eq!(&*read, text);
    bytes.len()
}

#[test]
fn texts_take_as_few_bytes_as_their_bits() {
    let interner = &mut Interner::default();
    let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (text, bytes) in [
        ("", 1),
        ("no", 3),
        ("some text", 10),
        ("5f4dcc3b-5aa7-65d6-1d83-27deb882cf99", 17),
        ("5F4DCC3B-5aa7-65d6-1d83-27deb882cf99", 38),
        ("5f4dcc3b-5aa7-65d6-1d83x27deb882cf99", 38),
        ("10.0.0.1", 5),
        ("10.00.0.1", 10),
        ("10.0.0.1/32", 12),
        (hash, 34),
        (&hash[..16], 9),
        (&hash[..15], 16),
        (&hash[..17], 18),
        ("ABCDEFABCDEFABCDEF", 19),
    ] {
        assert_eq!(size(text, interner), bytes, "{text}");
    }
    // The scheme stands there as it is the first time.
    let id = format!("containerd://{hash}");
    assert_eq!(size(&id, interner), 1 + 14 + 1 + 32);
    assert_eq!(size(&id, interner), 1 + 1 + 1 + 32);
}

#[test]
fn a_text_is_shared_from_the_second_time_on_until_nobody_uses_it() {
    let mut interner = Interner::default();
    let mut write = |text: &str| {
        let mut bytes = Vec::new();
        Out::compact(&mut bytes, &mut interner).text(text);
        (bytes, interner.len())
    };
    let (first, shared) = write("registry.example/app:1.2");
    assert_eq!((first.len(), shared), (25, 0));
    let (second, shared) = write("registry.example/app:1.2");
    assert_eq!((second.len(), shared), (1, 1));
    let (third, _) = write("registry.example/app:1.2");
    for (record, left) in [(&first, 1), (&second, 1), (&third, 0)] {
        let mut read = In::noting(record, &interner);
        assert_eq!(read.text().as_deref(), Some("registry.example/app:1.2"));
        let used = read.used();
        interner.release(&used);
        assert_eq!(interner.len(), left);
    }
    // What was free is used again.
    assert_eq!(size("another text", &mut interner), 13);
    assert_eq!(size("another text", &mut interner), 1);
}

#[test]
fn a_text_too_long_to_be_shared_stays_where_it_is() {
    let (interner, text) = (&mut Interner::default(), "xy".repeat(300));
    assert_eq!(size(&text, interner), 602);
    assert_eq!(size(&text, interner), 602);
    assert_eq!(interner.len(), 0);
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z]{0,4}",
        "\\PC{0,40}",
        "[0-9a-f]{14,40}",
        "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
        "[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}\\.[0-9]{1,3}",
        "(sha256:|containerd://|:|::)[0-9a-f]{16,20}",
    ]
}

proptest! {
    #[test]
    fn whatever_is_written_comes_back(
        records in proptest::collection::vec(proptest::collection::vec((text(), proptest::option::of(any::<u32>())), 0..6), 1..12)
    ) {
        let mut interner = Interner::default();
        let mut written = Vec::new();
        for record in &records {
            let record: Vec<_> = record.iter().map(|(text, number)| (Str::from(text.as_str()), *number)).collect();
            let mut bytes = Vec::new();
            record.put(&mut Out::compact(&mut bytes, &mut interner));
            written.push((record, bytes));
        }
        for (record, bytes) in &written {
            let mut from = In::noting(bytes, &interner);
            prop_assert_eq!(&Vec::take(&mut from), &Some(record.clone()));
        }
        for (record, bytes) in &written {
            let mut from = In::noting(bytes, &interner);
            prop_assert_eq!(&Vec::take(&mut from), &Some(record.clone()));
            let used = from.used();
            interner.release(&used);
        }
        prop_assert_eq!(interner.len(), 0);
    }

    #[test]
    fn damaged_bytes_are_no_reason_to_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let interner = Interner::default();
        let read = <Vec<(Str<'_>, Option<u32>)>>::take(&mut In::new(&bytes, &interner));
        prop_assert!(read.is_none_or(|read| read.len() <= bytes.len()));
    }
}
