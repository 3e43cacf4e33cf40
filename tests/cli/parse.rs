//! `rosterd parse`.

use super::{Ended, run, run_with_input};

fn read(format: &str, input: &str) -> Ended {
    run_with_input(&["parse", "--format", format], input)
}

fn good(output: &str) -> Ended {
    Ended { status: Some(0), output: output.to_owned(), errors: String::new() }
}

#[test]
fn samples_of_the_text_format_come_out_as_json() {
    let input = concat!(
        "# HELP up Whether it is.\n# TYPE up gauge\n",
        "up{z=\"\\\"\",a=\"x\\ny\"} 1e+06 1700000000000\n",
        "{\"my.metric\",\"l.a\"=\"é\"} NaN\n",
        "# TYPE h histogram\nh_bucket{le=\"1\"} -Inf",
    );
    assert_eq!(
        read("text", input),
        good(concat!(
            "{\"labels\":{\"__name__\":\"up\",\"a\":\"x\\ny\",\"z\":\"\\\"\"},\"value\":\"1000000\",\"timestamp_ms\":1700000000000}\n",
            "{\"labels\":{\"__name__\":\"my.metric\",\"l.a\":\"é\"},\"value\":\"NaN\",\"timestamp_ms\":null}\n",
            "{\"labels\":{\"__name__\":\"h_bucket\",\"le\":\"1.0\"},\"value\":\"-Inf\",\"timestamp_ms\":null}\n",
        ))
    );
    assert_eq!(run_with_input(&["parse"], input), read("text", input));
    assert_eq!(run(&["parse"]), good(""));
}

#[test]
fn samples_of_openmetrics_come_out_as_json() {
    assert_eq!(
        read("openmetrics", "# TYPE a counter\na_total{Z=\"1\"} 0.25 1.5 # {id=\"7\"} 1\n# EOF\n"),
        good("{\"labels\":{\"Z\":\"1\",\"__name__\":\"a_total\"},\"value\":\"0.25\",\"timestamp_ms\":1500}\n")
    );
}

/// A gauge with the value 2, all in ASCII.
const PROTOBUF: &str = "\x1a\x0a\x01g\x18\x01\x22\x13\x0a\x06\x0a\x01k\x12\x01v\x12\x09\x09\0\0\0\0\0\0\0\x40";

#[test]
fn samples_of_protocol_buffers_come_out_as_json() {
    let line = "{\"labels\":{\"__name__\":\"g\",\"k\":\"v\"},\"value\":\"2\",\"timestamp_ms\":null}\n";
    assert_eq!(read("protobuf", PROTOBUF), good(line));
    let ended = read("protobuf", &[PROTOBUF, &PROTOBUF[..20]].concat());
    assert_eq!((ended.status, ended.output.as_str()), (Some(1), line));
    let place = "error: byte 27 of the input: a length of 26 bytes where only 19 are left (cli_malformed_exposition)\n";
    assert_eq!(ended.errors, place);
}

#[test]
fn a_fault_is_named_after_the_samples_before_it() {
    let ended = read("text", "a 1\nb{c=d} 2\n");
    assert_eq!(ended.output, "{\"labels\":{\"__name__\":\"a\"},\"value\":\"1\",\"timestamp_ms\":null}\n");
    let errors = "error: line 2, column 5 of the input: expected a label value in quotes, found 'd' (cli_malformed_exposition)\n";
    assert_eq!((ended.status, ended.errors.as_str()), (Some(1), errors));
    let ended = read("openmetrics", "a 1\n");
    assert_eq!(ended.status, Some(1));
    assert!(ended.errors.contains("data does not end with # EOF (cli_malformed_exposition)"), "{}", ended.errors);
}
