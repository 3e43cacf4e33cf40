//! What a person sees and does.

use rosterd_testkit::{Folder, ScriptedServer, Server, Step, leak_checked_live, testdata};
use serde_json::{Value, json};

use crate::driver::{Browser, Screen};
use crate::rosterd;

/// All pages that the head leads to, and some that are deeper.
const PAGES: [&str; 18] = [
    "/",
    "/targets",
    "/targets?job=web&health=down",
    "/service-discovery",
    "/service-discovery?job=web",
    "/explain?q=localhost:1",
    "/relabel?job=web&labels=env%3Dstaging",
    "/relabel?labels=a%3D1&rules=-+%7Btarget_label:+b,+replacement:+c%7D",
    "/relabel/metrics?rules=-+%7Bregex:+id,+action:+labeldrop%7D&exposition=a%7Bid%3D%22x%22%7D+1",
    "/journal",
    "/remote-write",
    "/publications",
    "/operations",
    "/cluster",
    "/status",
    "/config",
    "/flags",
    "/nowhere",
];

/// A target that answers, a file of targets that a test may change, and rosterd.
struct Stage {
    exporter: ScriptedServer,
    folder: Folder,
    rosterd: Server,
}

impl Stage {
    async fn set() -> Self {
        Self::set_with("scrape: true").await
    }

    /// The same with these settings of rosterd's own.
    async fn set_with(own: &str) -> Self {
        let exporter = ScriptedServer::start([Step::get("/metrics")
            .any_times()
            .reply_header("content-type", "text/plain")
            .body("answers_total 42\n")])
        .await;
        let folder = Folder::new();
        let up = exporter.url("").trim_start_matches("http://").to_owned();
        folder.write("web.json", targets(&[&up, "localhost:1"]));
        let config = folder.write(
            "prometheus.yml",
            format!(
                "global: {{scrape_interval: 2s, scrape_timeout: 2s}}\n\
                 scrape_configs:\n\
                 - job_name: web\n\
                 \x20 file_sd_configs: [{{files: [web.json]}}]\n\
                 \x20 relabel_configs:\n\
                 \x20 - {{source_labels: [env], regex: staging, action: drop}}\n\
                 \x20 - {{source_labels: [__address__], target_label: address}}\n\
                 - job_name: <b>odd</b> & \"long\"\n\
                 \x20 static_configs: [{{targets: ['{up}'], labels: {{text: '<script>alert(1)</script>'}}}}]\n\
                 rosterd: {{{own}}}\n"
            ),
        );
        let rosterd = rosterd(&config).await;
        Self { exporter, folder, rosterd }
    }

    /// Waits until each target was scraped: two that answer, and one that does not.
    async fn scraped(&self) {
        let count = async |health: &str| {
            let told = self.rosterd.data(&format!("/api/v1/targets?health={health}")).await;
            told["activeTargets"].as_array().map_or(0, Vec::len)
        };
        let end = tokio::time::Instant::now() + rosterd_testkit::patience();
        while (count("up").await, count("down").await) != (2, 1) {
            assert!(tokio::time::Instant::now() < end, "the targets are not scraped");
            tokio::task::yield_now().await;
        }
    }

    async fn strike(self) {
        drop(self.rosterd);
        drop(self.exporter);
        drop(self.folder);
    }
}

fn targets(addresses: &[&str]) -> String {
    json!([
        { "targets": addresses, "labels": { "env": "prod" } },
        { "targets": ["10.0.0.1:9100"], "labels": { "env": "staging" } },
        { "targets": ["no/host"], "labels": { "env": "prod" } },
    ])
    .to_string()
}

/// What a checker of accessibility finds.
async fn findings(browser: &Browser) -> Vec<String> {
    let axe = std::fs::read_to_string(testdata("browser/axe.min.js")).expect("it is there");
    browser.run(&format!("{axe}; window.axe = axe; return true")).await;
    let found = browser
        .run_async("const done = arguments[arguments.length - 1]; axe.run(document).then((found) => done(found.violations), (error) => done([{ id: String(error), nodes: [] }]))")
        .await;
    let violations = found.as_array().cloned().unwrap_or_default();
    let told = |violation: &Value| {
        let nodes = violation["nodes"].as_array().map(|nodes| {
            nodes.iter().take(3).map(|it| format!("{} {}", it["html"], it["any"][0]["message"])).collect::<Vec<_>>()
        });
        format!("{}: {:?}", violation["id"], nodes)
    };
    violations.iter().map(told).collect()
}

#[test]
fn pages_are_sound_on_any_screen_by_day_and_by_night() {
    leak_checked_live(|| async {
        let stage = Stage::set().await;
        stage.scraped().await;
        let browser = Browser::start().await;
        for page in PAGES {
            for (screen, scheme) in
                [(Screen::Desk, "light"), (Screen::Desk, "dark"), (Screen::Phone, "light"), (Screen::Phone, "dark")]
            {
                let place = format!("{page} on {screen:?}, {scheme}");
                browser.look(screen, scheme).await;
                browser.open(&stage.rosterd.url(page)).await;
                let expected: &[&str] = &[];
                assert_eq!(findings(&browser).await, expected, "{place}");
                let wide = browser
                    .run("return document.documentElement.scrollWidth - document.documentElement.clientWidth")
                    .await;
                assert!(wide.as_i64().is_some_and(|more| more <= 0), "{place} is wider than the screen by {wide}");
                let dark = browser.run("return getComputedStyle(document.body).backgroundColor").await;
                let is_dark = dark == json!("rgb(17, 21, 27)");
                assert_eq!(is_dark, scheme == "dark", "{place}: {dark}");
                let complaints = browser.complaints().await;
                let complaints: Vec<_> =
                    complaints.iter().filter(|it| page != "/nowhere" || !it.contains("404")).collect();
                assert!(complaints.is_empty(), "{place}: {complaints:?}");
            }
        }
        drop(browser);
        stage.strike().await;
    });
}

#[test]
fn a_person_finds_a_target_by_its_labels() {
    leak_checked_live(|| async {
        let stage = Stage::set().await;
        stage.scraped().await;
        let browser = Browser::start().await;
        browser.open(&stage.rosterd.url("/")).await;
        assert_eq!(browser.text("#wrong-now").await, "all well");
        browser.click("#jobs tbody a[href='/targets?job=web']").await;
        browser.until("the targets of a job are shown", "return location.pathname === '/targets'").await;
        assert_eq!(browser.text("h1").await, "Targets");
        // The key for the search, and what a person types.
        browser.type_keys("/address=localhost:1\u{e007}").await;
        let found = "return new URLSearchParams(location.search).get('search') === 'address=localhost:1' \
                     && document.querySelectorAll('.targets tbody tr').length === 1";
        browser.until("what was searched for is shown", found).await;
        let row = browser.text(".targets tbody tr").await;
        assert!(row.contains("down") && row.contains("http://localhost:1/metrics"), "{row}");
        let title = browser.run("return document.querySelector('.targets time').title").await;
        assert!(title.as_str().is_some_and(|title| title.len() > 15), "the time in the zone of the viewer: {title}");
        drop(browser);
        stage.strike().await;
    });
}

#[test]
fn pages_follow_what_happens_until_they_are_paused() {
    leak_checked_live(|| async {
        let stage = Stage::set().await;
        let browser = Browser::start().await;
        browser.open(&stage.rosterd.url("/targets?job=web")).await;
        browser
            .until("both targets are shown", "return document.querySelectorAll('.targets tbody tr').length === 2")
            .await;
        browser.run("document.querySelector('details').open = false; return true").await;
        stage.folder.write("web.json", targets(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]));
        browser
            .until("the new ones are shown", "return document.querySelectorAll('.targets tbody tr').length === 3")
            .await;
        assert_eq!(
            browser.run("return document.querySelector('details').open").await,
            json!(false),
            "what was closed stays so"
        );
        browser.click("#refresh").await;
        assert_eq!(browser.text("#refresh").await, "resume refresh");
        browser.open(&stage.rosterd.url("/")).await;
        assert_eq!(browser.text("#refresh").await, "resume refresh", "on all pages");
        drop(browser);
        stage.strike().await;
    });
}

#[test]
fn a_person_tries_rules_on_what_was_dropped() {
    leak_checked_live(|| async {
        let stage = Stage::set().await;
        let browser = Browser::start().await;
        browser.open(&stage.rosterd.url("/service-discovery?job=web&became=dropped")).await;
        browser.click("#entries tbody a").await;
        browser.until("the workbench is open", "return location.pathname === '/relabel'").await;
        let story = browser.text("ol.story").await;
        assert!(story.contains("\"staging\" matches: dropped") && story.contains("dropped by rule 1"), "{story}");
        browser
            .run(
                "document.getElementById('rules').value = '- {target_label: tried, replacement: \"yes\"}'; return true",
            )
            .await;
        browser.click("form button").await;
        browser.until("both are shown", "return document.querySelectorAll('ol.story').length === 2").await;
        let story = browser.text("ol.story").await;
        assert!(story.contains("+ tried=\"yes\"") && story.contains("kept"), "{story}");
        drop(browser);
        stage.strike().await;
    });
}

#[test]
fn a_person_lets_go_of_what_the_brake_holds() {
    leak_checked_live(|| async {
        let brake = "scrape: true, brake: {min_targets: 2, share: 0.2, confirm: never}";
        let stage = Stage::set_with(brake).await;
        let browser = Browser::start().await;
        browser.open(&stage.rosterd.url("/targets?job=web")).await;
        let shown = |count: usize| format!("return document.querySelectorAll('.targets tbody tr').length === {count}");
        browser.until("both targets are shown", &shown(2)).await;
        stage.folder.write("web.json", targets(&["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"]));
        browser.until("what took their place is shown", &shown(3)).await;
        stage.folder.write("web.json", targets(&["127.0.0.1:1"]));
        browser.open(&stage.rosterd.url("/")).await;
        let button = "form[action*='/brake/release'] button";
        browser.until("the button is there", &format!("return document.querySelector(\"{button}\") !== null")).await;
        // Nothing moves under the hand.
        browser.click("#refresh").await;
        browser.click(button).await;
        browser.until("it is gone", &format!("return document.querySelector(\"{button}\") === null")).await;
        browser.open(&stage.rosterd.url("/targets?job=web")).await;
        assert_eq!(browser.run(&shown(1)).await, json!(true), "they are gone");
        assert_eq!(browser.complaints().await, [] as [String; 0]);
        drop(browser);
        stage.strike().await;
    });
}

#[test]
fn what_is_printed_is_what_a_page_tells_and_nothing_to_click_on() {
    leak_checked_live(|| async {
        let stage = Stage::set().await;
        stage.scraped().await;
        let browser = Browser::start().await;
        browser.print().await;
        for (page, told) in [("/", "#jobs"), ("/targets", ".targets"), ("/journal", "main"), ("/status", "dl")] {
            browser.open(&stage.rosterd.url(page)).await;
            let seen = "const seen = (it) => it.getClientRects().length > 0;";
            let clicked = format!(
                "{seen} return [...document.querySelectorAll('.top nav, .top button, form, .pager')].some(seen)"
            );
            assert_eq!(browser.run(&clicked).await, json!(false), "{page}");
            let told = format!("{seen} return seen(document.querySelector('{told}'))");
            assert_eq!(browser.run(&told).await, json!(true), "{page}");
        }
        drop(browser);
        stage.strike().await;
    });
}
