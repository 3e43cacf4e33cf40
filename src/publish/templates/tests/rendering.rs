//! A template and a roster to text.

use std::path::Path;
use std::time::Duration;

use rosterd_model::Coded;
use rosterd_testkit::{Folder, leak_checked};
use tokio_util::sync::CancellationToken;

use super::publishing::{Running, target};
use crate::publish::templates::{Bounds, TemplateError, render};

/// Time enough.
pub(super) const LONG: Duration = Duration::from_secs(30);

/// Ample time.
pub(super) fn bounds(time: Duration) -> Bounds {
    Bounds { time, stop: CancellationToken::new() }
}

/// What a template renders of two jobs; the folder may have others.
async fn rendered(folder: &Folder, template: &str) -> Result<String, TemplateError> {
    rendered_in(LONG, folder, template).await
}

async fn rendered_in(time: Duration, folder: &Folder, template: &str) -> Result<String, TemplateError> {
    let it = Running::start(&Default::default(), &[]).await;
    it.report("p/1", &[target("b:2", &[("zone", "east")]), target("a:1", &[("zone", "west"), ("name", "x\ny")])]).await;
    it.report("p/2", &[target("[::1]:80", &[("zone", "east")])]).await;
    let view = it.known().await;
    let jobs: Vec<_> = view.jobs().cloned().collect();
    let source = folder.write("x.tmpl", template);
    let text =
        render(&source, &jobs, &bounds(time)).0.map(|it| String::from_utf8(it.content.to_vec()).expect("it is text"));
    it.stop().await;
    text
}

fn place(error: &TemplateError, folder: &Path) -> String {
    error.to_string().replace(&format!("{}/", folder.display()), "")
}

#[test]
fn jobs_and_targets_are_sorted_and_can_be_grouped() {
    leak_checked(async || {
        let folder = Folder::new();
        let template = "\
{% for job in jobs %}
job {{ job.name }}: {{ job.targets | length }}
{% endfor %}
{% for target in targets %}
{{ target.job }} {{ target.address }} {{ target.host }} {{ target.port }} {{ target.scheme }} {{ target.path }} {{ target.held }}
{% endfor %}
{% for zone, targets in targets | groupby('labels.zone') %}
{{ zone }}: {{ targets | map(attribute='address') | join(' ') }}
{% endfor %}
{{ targets[0].labels | list | join(',') }}
";
        let expected = "\
job a: 2
job b: 1
b [::1]:80 ::1 80 http /metrics False
a a:1 a 1 http /metrics False
a b:2 b 2 http /metrics False
east: [::1]:80 b:2
west: a:1
job,zone
";
        let found = rendered(&folder, template).await.unwrap();
        // Who has no instance of its own gets one by its address.
        assert_eq!(found.replace("instance,", ""), expected);
    });
}

#[test]
fn errors_name_the_file_and_the_line() {
    leak_checked(async || {
        let folder = Folder::new();
        folder.write("endless", "\n{% for x in range(9999) %}{% for y in range(9999) %}{% endfor %}{% endfor %}");
        folder.write("sub/part.tmpl", "fine\n{{ targets[0].nothing }}\n");
        for (template, code, told) in [
            ("a\n{% for x in %}", "publish_template_failed", "cannot render x.tmpl:2: syntax error: "),
            ("a\n\n{{ job }}", "publish_template_failed", "cannot render x.tmpl:3: undefined value"),
            (
                "{{ targets[0].labels.zones }}",
                "publish_template_failed",
                "cannot render x.tmpl:1: undefined value: `targets[0].labels.zones` is undefined: [::1]:80 of job b has no label \"zones\"",
            ),
            (
                "{% for it in targets %}{{ it.labels.name }}{% endfor %}",
                "publish_template_failed",
                "cannot render x.tmpl:1: undefined value: `it.labels.name` is undefined: [::1]:80 of job b has no label",
            ),
            (
                "{{ targets[0].labels.zones | default('') }}{{ job }}",
                "publish_template_failed",
                "cannot render x.tmpl:1: undefined value: `job` is undefined",
            ),
            (
                "{{ targets[1].labels.name }}",
                "publish_template_failed",
                "cannot render x.tmpl:1: invalid operation: a control",
            ),
            (
                "a\n{% include 'sub/part.tmpl' %}",
                "publish_template_failed",
                "cannot render sub/part.tmpl:2: undefined value",
            ),
            (
                "{% include '../x' %}",
                "publish_template_failed",
                "cannot render x.tmpl:1: invalid operation: \"../x\" is not",
            ),
            (
                "{% include '/etc/passwd' %}",
                "publish_template_failed",
                "cannot render x.tmpl:1: invalid operation: \"/etc/passwd\"",
            ),
            ("{% include 'none' %}", "publish_template_failed", "cannot render x.tmpl:1: template not found"),
            (
                "{% for x in range(9999) %}{% for y in range(9999) %}{% endfor %}{% endfor %}",
                "publish_template_endless",
                "cannot render x.tmpl:1: it does not come to an end, or is more work than 3 targets may be in 30s",
            ),
            (
                "{% include 'endless' %}",
                "publish_template_endless",
                "cannot render endless:2: it does not come to an end, or is more work than 3 targets may be in 30s",
            ),
            (" {# nothing #}\n", "publish_template_empty", "x.tmpl renders to nothing"),
        ] {
            let error = rendered(&folder, template).await.expect_err(template);
            let text = place(&error, folder.root());
            assert_eq!(error.code(), code, "{template}: {text}");
            assert!(text.starts_with(told), "{template}: {text}");
        }
        let missing = render(&folder.path("none.tmpl"), &[], &bounds(LONG)).0.expect_err("it is not there");
        assert_eq!(missing.code(), "publish_template_unreadable");
    });
}

#[test]
fn what_is_printed_or_asked_of_targets_ends_with_the_time() {
    leak_checked(async || {
        let folder = Folder::new();
        for template in ["{{ 'a' }}", "{% if targets[0].address %}{% endif %}", "{{ targets | map(attribute='host') }}"]
        {
            rendered(&folder, template).await.unwrap_or_default();
            // The clock of the test stands still: all is within a nanosecond, or nothing is.
            let error = rendered_in(Duration::ZERO, &folder, template).await.expect_err(template);
            let text = place(&error, folder.root());
            assert_eq!(
                (error.code(), &*text),
                ("publish_template_endless", "cannot render x.tmpl:1: it did not come to an end within 0ns"),
                "{template}"
            );
        }
        let source = folder.write("x.tmpl", "{{ 'a' }}");
        let left = bounds(LONG);
        left.stop.cancel();
        let error = render(&source, &[], &left).0.expect_err("nobody waits for it");
        assert_eq!(error.code(), "publish_template_endless");
    });
}
