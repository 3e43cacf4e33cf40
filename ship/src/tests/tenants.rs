//! Samples go to the tenant that they were queued for, whatever happens to the configuration meanwhile.

use rosterd_client::Secret;
use rosterd_model::relabel::RuleConfig;
use rosterd_model::{NameScheme, relabel::Action};
use rosterd_testkit::{Log, RemoteWriteReceiver, free_address, leak_checked_live};
use xxhash_rust::xxh3::xxh3_128;

use super::*;
use crate::give_names;

/// An endpoint without a name, for a tenant.
fn of_tenant(url: &str, tenant: &str) -> EndpointConfig {
    let headers = [("X-Scope-OrgID".to_owned(), Secret::new(tenant))].into();
    EndpointConfig { headers, named: false, ..endpoint("", url) }
}

fn of_user(url: &str, user: &str, password: &str) -> EndpointConfig {
    let client = format!("basic_auth: {{username: {user}, password: {password}}}");
    EndpointConfig { client: serde_yaml::from_str(&client).unwrap(), named: false, ..endpoint("", url) }
}

fn named(mut endpoints: Vec<EndpointConfig>) -> Vec<EndpointConfig> {
    give_names(&mut endpoints);
    endpoints
}

/// The endpoint with these labels alone.
fn with_rule(mut config: EndpointConfig, action: Action, regex: &str) -> EndpointConfig {
    let source_labels = vec!["__name__".to_owned()];
    let rule = RuleConfig { source_labels, regex: regex.to_owned(), action, ..RuleConfig::default() };
    config.rules = Rules::compile(&[rule], NameScheme::Utf8).unwrap();
    config
}

/// Pushes a sample of this value to all endpoints and waits until it is in their queues.
async fn push(ship: &Ship, value: f64) {
    let before: Vec<_> = ship.shipper.status().iter().map(|status| status.pending.samples).collect();
    ship.shipper.push(1, &block(&["m"], value, now(value as usize)));
    let queued = || {
        let pending = ship.shipper.status().into_iter().map(|status| status.pending.samples);
        pending.zip(&before).all(|(pending, before)| pending > *before)
    };
    eventually(patience(), "it is queued", queued).await;
}

/// The values that came with this value of a header, in their order.
fn came_with(receiver: &RemoteWriteReceiver, header: &str, value: &str) -> Vec<f64> {
    let requests = receiver.requests().into_iter().filter(|request| super::header(request, header) == value);
    requests.flat_map(|request| request.samples).filter_map(|sample| sample.value).collect()
}

#[test]
fn a_queue_that_does_not_say_whose_it_is_goes_on_by_its_name_or_is_told() {
    leak_checked_live(|| async {
        let log = Log::of("rosterd_ship");
        // What looks for folders does so on another thread.
        tracing::subscriber::set_global_default(log.clone()).unwrap();
        let told = |text: &str| {
            let lines = log.take();
            assert!(lines.iter().any(|line| line.contains(text)), "{lines:?}");
        };
        for text in [&b""[..], b"a\nhttp://a/\n0\nused 1 2\n", &[0xff; 300]] {
            let folder = tempfile::tempdir().unwrap();
            let receiver = RemoteWriteReceiver::start().await;
            let ship = Ship::of(Some(folder.path()), vec![endpoint("a", "http://127.0.0.1:1/write")]).await;
            ship.shipper.push(1, &block(&["m"], 1.0, now(0)));
            ship.end().await;
            let own = queues(folder.path()).remove(0);
            std::fs::write(own.join("endpoint"), text).unwrap();
            // Another one does not take it.
            let other = Ship::of(Some(folder.path()), vec![endpoint("b", &receiver.url())]).await;
            told("kept and sent by nobody");
            other.end().await;
            let again = Ship::of(Some(folder.path()), vec![endpoint("a", "http://127.0.0.1:1/write")]).await;
            told("by its name is this one's");
            assert_eq!(again.shipper.status()[0].pending.samples, 1);
            again.end().await;
            assert!(receiver.requests().is_empty());
        }
    });
}

#[test]
fn whatever_order_tenants_are_in_each_gets_what_is_its_own() {
    leak_checked_live(|| async {
        for on_disk in [true, false] {
            let folder = tempfile::tempdir().unwrap();
            let folder = on_disk.then_some(folder.path());
            let address = free_address();
            let url = format!("http://{address}/api/v1/write");
            let tenant = |name: &str| of_tenant(&url, name);
            let ship = Ship::of(folder, named(vec![tenant("a"), tenant("b")])).await;
            push(&ship, 1.0).await;
            ship.shipper.configure(named(vec![tenant("b"), tenant("a")])).await.unwrap();
            push(&ship, 2.0).await;
            // The first one goes, and the other one is the first now.
            ship.shipper.configure(named(vec![tenant("a")])).await.unwrap();
            push(&ship, 3.0).await;
            ship.shipper.configure(named(vec![tenant("c"), tenant("a")])).await.unwrap();
            push(&ship, 4.0).await;
            let receiver = RemoteWriteReceiver::start_at(address).await;
            ship.wait_empty().await;
            let of = |tenant| came_with(&receiver, "x-scope-orgid", tenant);
            assert_eq!((of("a"), of("b"), of("c")), (vec![1.0, 2.0, 3.0, 4.0], vec![], vec![4.0]));
            // It comes back; in memory nothing can have waited.
            ship.shipper.configure(named(vec![tenant("c"), tenant("b"), tenant("a")])).await.unwrap();
            ship.shipper.push(1, &block(&["m"], 5.0, now(5)));
            ship.wait_empty().await;
            receiver.wait_samples(8 + 2 * usize::from(on_disk)).await;
            assert_eq!(of("b"), if on_disk { vec![1.0, 2.0, 5.0] } else { vec![5.0] });
            ship.end().await;
        }
    });
}

#[test]
fn a_restart_with_another_order_mixes_nothing() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}/api/v1/write");
        let ship = Ship::of(Some(folder.path()), named(vec![of_user(&url, "a", "1"), of_user(&url, "b", "1")])).await;
        push(&ship, 1.0).await;
        ship.end().await;
        // The second one, with another password.
        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(folder.path()), named(vec![of_user(&url, "b", "2")])).await;
        ship.wait_empty().await;
        receiver.wait_samples(1).await;
        assert_eq!(came_with(&receiver, "authorization", "Basic Yjoy"), [1.0]);
        assert_eq!(receiver.samples().len(), 1);
        ship.end().await;
    });
}

#[test]
fn another_tenant_under_the_same_name_begins_with_nothing() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}/api/v1/write");
        let tenant = |tenant: &str| EndpointConfig { named: true, name: "mine".to_owned(), ..of_tenant(&url, tenant) };
        let ship = Ship::of(Some(folder.path()), vec![tenant("a")]).await;
        push(&ship, 1.0).await;
        ship.shipper.configure(vec![tenant("b")]).await.unwrap();
        push(&ship, 2.0).await;
        let receiver = RemoteWriteReceiver::start_at(address).await;
        ship.wait_empty().await;
        assert_eq!(values(&receiver, "m"), [2.0]);
        ship.shipper.configure(vec![tenant("a")]).await.unwrap();
        ship.wait_empty().await;
        receiver.wait_samples(2).await;
        assert_eq!(came_with(&receiver, "x-scope-orgid", "a"), [1.0]);
        ship.end().await;
    });
}

#[test]
fn an_endpoint_goes_on_with_its_queue_whatever_else_changes() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}/api/v1/write");
        let base = of_user(&url, "a", "1");
        let changes = [
            base.clone(),
            of_user(&url, "a", "2"),
            with_rule(of_user(&url, "a", "2"), Action::Drop, "n"),
            EndpointConfig { name: "now-it-has-one".to_owned(), named: true, ..of_user(&url, "a", "2") },
            EndpointConfig { name: "now-it-has-one".to_owned(), named: true, ..of_user(&url, "a", "3") },
            of_user(&url, "a", "3"),
            EndpointConfig { message: Message::V2, timeout: Duration::from_secs(3), ..of_user(&url, "a", "3") },
        ];
        let ship = Ship::new(Some(folder.path()));
        for (number, config) in changes.into_iter().enumerate() {
            ship.shipper.configure(named(vec![config])).await.unwrap();
            push(&ship, number as f64).await;
            assert_eq!(ship.shipper.status()[0].pending.samples, number as u32 + 1, "change {number}");
            assert_eq!(queues(folder.path()).len(), 1, "change {number}");
        }
        let receiver = RemoteWriteReceiver::start_at(address).await;
        ship.wait_empty().await;
        assert_eq!(values(&receiver, "m"), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        ship.end().await;
    });
}

#[test]
fn queues_of_the_first_release_are_gone_on_with() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let address = free_address();
        let url = format!("http://{address}/api/v1/write");
        let configs = || named(vec![of_tenant(&url, "a"), of_tenant(&url, "b"), endpoint("c", &url)]);
        let ship = Ship::of(Some(folder.path()), configs()).await;
        push(&ship, 1.0).await;
        for (tenant, value) in [("a", 2.0), ("b", 3.0)] {
            ship.shipper.configure(named(vec![of_tenant(&url, tenant)])).await.unwrap();
            push(&ship, value).await;
        }
        ship.end().await;
        // As it left them: three lines, and a name that says it all.
        for own in queues(folder.path()) {
            let about = std::fs::read_to_string(own.join("endpoint")).unwrap();
            let lines: Vec<_> = about.lines().collect();
            let values = read_values(&own);
            let name = match (lines[0], values.contains(&2.0)) {
                ("c", _) => "c".to_owned(),
                (_, true) => format!("{address}/api/v1/write"),
                (_, false) => format!("{address}/api/v1/write-2"),
            };
            let old = format!("{:032x}", xxh3_128(format!("{name}\0{url}").as_bytes()));
            std::fs::write(own.join("endpoint"), format!("{name}\n{url}\n604800\n")).unwrap();
            std::fs::rename(&own, folder.path().join(old)).unwrap();
        }
        let receiver = RemoteWriteReceiver::start_at(address).await;
        let ship = Ship::of(Some(folder.path()), configs()).await;
        ship.wait_empty().await;
        receiver.wait_samples(5).await;
        let of = |tenant| came_with(&receiver, "x-scope-orgid", tenant);
        assert_eq!((of("a"), of("b"), of("")), (vec![1.0, 2.0], vec![1.0, 3.0], vec![1.0]));
        assert_eq!(queues(folder.path()).len(), 3);
        ship.end().await;
    });
}

/// The values in a queue on disk.
fn read_values(own: &Path) -> Vec<f64> {
    let settings = crate::log::Settings { segment_bytes: u64::MAX };
    let (mut log, _) = crate::log::Log::open(own, settings).unwrap();
    let mut records = Vec::new();
    log.read(0, usize::MAX, &mut records, &mut Vec::new()).unwrap();
    let mut values = Vec::new();
    for record in records {
        let body = record.compression.unpack(&record.body, record.raw_len as usize).unwrap();
        crate::wire::each_series(&body, |series| values.extend(series.samples().map(|(value, _)| value))).unwrap();
    }
    values
}

#[test]
fn the_empty_queue_of_an_endpoint_that_is_gone_leaves_nothing() {
    leak_checked_live(|| async {
        let folder = tempfile::tempdir().unwrap();
        let receiver = RemoteWriteReceiver::start().await;
        let ship = Ship::of(Some(folder.path()), named(vec![of_tenant(&receiver.url(), "a")])).await;
        ship.shipper.push(1, &block(&["m"], 1.0, now(0)));
        receiver.wait_samples(1).await;
        ship.wait_empty().await;
        assert_eq!(queues(folder.path()).len(), 1);
        ship.shipper.configure(Vec::new()).await.unwrap();
        assert!(queues(folder.path()).is_empty());
        ship.end().await;
    });
}

#[test]
fn names_do_not_depend_on_the_order() {
    let tenant = |tenant: &str| of_tenant("https://u:p@h:9/w?x=1", tenant);
    let names =
        |endpoints: Vec<EndpointConfig>| named(endpoints).into_iter().map(|config| config.name).collect::<Vec<_>>();
    assert_eq!(names(vec![tenant("a")]), ["h:9/w"]);
    let both = names(vec![tenant("a"), tenant("b")]);
    assert!(both[0] != both[1] && both.iter().all(|name| name.starts_with("h:9/w-") && name.len() == 12), "{both:?}");
    let swapped = names(vec![tenant("b"), tenant("a")]);
    assert_eq!([&swapped[1], &swapped[0]], [&both[0], &both[1]]);
    let ruled = names(vec![tenant("a"), with_rule(tenant("a"), Action::Keep, "m"), tenant("a")]);
    assert_eq!((&ruled[0], &*ruled[2]), (&both[0], &*format!("{}-2", both[0])));
    assert_ne!(ruled[0], ruled[1]);
    let clash = names(vec![endpoint("h:9/w", "http://other/"), tenant("a")]);
    assert_eq!(clash, ["h:9/w", &both[0]]);
}
