//! A configuration that is not good changes nothing of an agent that runs: it is told with all that is wrong, and the one
//! before goes on.

use std::collections::BTreeSet;

use rosterd_testkit::testdata;

use super::*;

const GOOD: &str = "scrape_configs: [{job_name: a, static_configs: [{targets: ['a:1']}]}]";

/// The name of a file that is not good, what is wanted of it, and what stands in it.
fn bad() -> Vec<(String, String, String)> {
    let entries = std::fs::read_dir(testdata("config")).unwrap().map(|entry| entry.unwrap().path());
    let named = entries.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path));
    let bad = named.filter(|(name, _)| name.ends_with(".bad.yml")).map(|(name, path)| {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.lines().next().and_then(|line| line.strip_prefix("# want: ")).unwrap().to_owned();
        (name, code, text)
    });
    let mut bad: Vec<_> = bad.collect();
    bad.sort();
    bad
}

#[test]
fn a_reload_of_anything_bad_is_refused_with_its_problems_and_leaves_all_as_it_was() {
    leak_checked_live(async || {
        let folder = Folder::new();
        folder.write("prometheus.yml", GOOD);
        let mut agent = started(options(&folder, Registry::linked().unwrap(), patience())).await;
        wait_running(&agent, 1).await;
        let targets = |agent: &Agent| {
            let view = agent.roster.view();
            view.jobs().map(|job| (job.spec().name.to_string(), job.counts().targets)).collect::<Vec<_>>()
        };
        let is_one = |agent: &Agent| targets(agent) == [("a".to_owned(), 1)];
        eventually(patience(), "the target is there", || is_one(&agent)).await;
        let (yaml, checksum) = (agent.view.borrow().yaml.clone(), agent.checksum);
        let bad = bad();
        assert!(bad.len() > 20, "{bad:?}");
        let linked: BTreeSet<_> = Registry::linked().unwrap().iter().map(|mechanism| mechanism.name).collect();
        // In a build without the mechanism there is more that is wrong.
        for (name, code, text) in bad.iter().filter(|(name, ..)| linked.contains("exec") || !name.starts_with("exec")) {
            folder.replace("prometheus.yml", text);
            for cause in [Cause::Changed, Cause::Asked] {
                let refused = agent.reload(cause).await.expect_err(name);
                assert_eq!(refused.report.code, "cfg_invalid", "{name}");
                assert!(
                    refused.problems.iter().any(|problem| problem.code == code),
                    "{name} wants {code}: {refused:?}"
                );
                let line = refused.line();
                assert!(line.contains(".yml:") && line.contains("(cfg_"), "{line}");
                let view = agent.view.borrow().clone();
                assert_eq!((view.refused.as_ref(), &view.yaml), (Some(&refused), &yaml), "{name}");
            }
            assert!(is_one(&agent), "{name}: {:?}", targets(&agent));
        }
        assert_eq!(agent.checksum, checksum);
        folder.replace("prometheus.yml", GOOD);
        agent.reload(Cause::Changed).await.expect("it is good");
        assert_eq!(agent.view.borrow().refused, None);
        assert!(agent.shutdown().await.is_empty());
    });
}
