//! The corpus of fuzzing, whole and damaged.

use proptest::prelude::*;
use rosterd_exposition::Dialect;

use crate::ingest::fuzzing::{Kind, scrapes};

const CORPUS: [(&[u8], Kind); 3] = [
    (include_bytes!("../../../../testdata/exposition/plain.txt"), Kind::Text(Dialect::Prometheus)),
    (include_bytes!("../../../../testdata/exposition/openmetrics.txt"), Kind::Text(Dialect::OpenMetrics)),
    (include_bytes!("../../../../testdata/exposition/protobuf.bin"), Kind::Protobuf),
];

fn one_after_the_other(bodies: &[&[u8]]) -> Vec<u8> {
    bodies.join(&0x1e)
}

#[test]
fn damaged_bodies_between_good_ones_give_what_the_model_gives() {
    for (body, kind) in CORPUS {
        for at in (0..body.len()).step_by(3) {
            for byte in *b"\n \"1\xff" {
                let mut changed = body.to_vec();
                changed[at] = byte;
                scrapes(&one_after_the_other(&[body, &changed, body]), kind);
            }
            scrapes(&one_after_the_other(&[body, &body[..at], body, &body[at..], body]), kind);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_looks_like_expositions_gives_what_the_model_gives(
        body in r#"((a|b_total|h_bucket|h_sum)(\{(a="1",?|a="",?|le="1",?|job="x",?|b="é",?){0,3}\})? [0-9]( [0-9]| 9999999)?\n|# TYPE (a|h) (counter|histogram)\n|\x1e){0,30}"#
    ) {
        scrapes(body.as_bytes(), Kind::Text(Dialect::Prometheus));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        CORPUS.iter().for_each(|(_, kind)| scrapes(&bytes, *kind));
    }
}
