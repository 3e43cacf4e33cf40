//! Asks for the instances of each folder; where folders are not named, for those of each cloud of each organisation before.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use rosterd_client::{ClientError, Url};
use rosterd_credentials::Bearer;
use rosterd_discovery::{Build, Error, Reading, Refresh, Unreadable};
use rosterd_model::TargetGroup;
use rosterd_rest::{Api, Before, Fault, Page, PagePlace, Sources};

use super::YandexcloudConfig;
use super::account::{Account, to_services};
use super::decode;
use super::error::YandexcloudError;

/// The largest page that there is.
const PAGE: &str = "1000";
/// So many folders or clouds are read at the same time.
const AT_ONCE: usize = 4;

pub(super) struct Yandexcloud {
    config: YandexcloudConfig,
    account: Arc<Account>,
    api: Api,
    has_no_folders: bool,
    /// Folders, and the clouds that they are in.
    sources: Sources,
    clouds: Sources,
}

/// A folder, and the name of the source that it is: with what it is in, if that was found out.
struct Folder {
    source: String,
    id: String,
}

impl Yandexcloud {
    pub(super) fn new(config: YandexcloudConfig, cx: &Build<'_, YandexcloudConfig>) -> Result<Self, ClientError> {
        let asker = config.asker();
        let account = cx.shared.accounts.get_or_try(asker.clone(), || Account::new(&asker, cx))?;
        let api = to_services(&config, config.refresh_interval.into(), cx)?;
        let api = api.authorized(Arc::new(Bearer::new(Arc::clone(&account.tokens))));
        let sources = || Sources::new(config.refresh_interval.into());
        let (sources, clouds) = (sources(), sources());
        Ok(Self { config, account, api, has_no_folders: false, sources, clouds })
    }

    async fn list<T: Send + 'static>(
        &self,
        server: &Url,
        path: [&str; 3],
        operation: &'static str,
        within: Option<(&str, &str)>,
        decode: fn(&[u8]) -> Result<Page<T>, Fault>,
    ) -> Result<Vec<T>, Error> {
        let mut question = self.api.at(server.clone()).get(path).named(operation).parameter("pageSize", PAGE);
        if let Some((name, id)) = within {
            question = question.parameter(name, id);
        }
        let read = move |_: &HeaderMap, body: &[u8], _: Before| decode(body);
        question.paged(PagePlace::Parameter("pageToken"), read).await
    }

    async fn folders(&self) -> Result<(Vec<Folder>, Vec<Unreadable>), Error> {
        if !self.config.folder_ids.is_empty() {
            let named: BTreeSet<_> = self.config.folder_ids.iter().collect();
            let folder = |id: &String| Folder { source: id.clone(), id: id.clone() };
            return Ok((named.into_iter().map(folder).collect(), Vec::new()));
        }
        let path = ["organization-manager", "v1", "organizations"];
        let organizations = self.service(path[0]).await?;
        let organizations = self.list(&organizations, path, "organizations", None, decode::ids).await?;
        let resources = self.service("resource-manager").await?;
        let (mut clouds, mut unread) = (Vec::new(), Vec::new());
        // Who sees no organisation may see clouds.
        let organizations = if organizations.is_empty() { vec![String::new()] } else { organizations };
        for organization in organizations {
            let within = Some(("organizationId", organization.as_str())).filter(|(_, id)| !id.is_empty());
            let of = if organization.is_empty() { "-" } else { &organization };
            match self.resources(&resources, "clouds", within).await {
                Err(error) => unread.push(Unreadable::scope(of, of, error)),
                Ok(ids) => clouds.extend(ids.into_iter().map(|id| (format!("{of}/{id}"), id))),
            }
        }
        let (mut reading, mut folders) = (Vec::new(), Vec::new());
        for (source, cloud) in clouds {
            reading.push((source, self.folders_of(&resources, cloud)));
        }
        for (of, found) in self.clouds.read(AT_ONCE, reading).await {
            match found {
                Err(error) => unread.push(Unreadable::scope(&*of, &of, error)),
                Ok(ids) => folders.extend(ids.into_iter().map(|id| Folder { source: format!("{of}/{id}"), id })),
            }
        }
        Ok((folders, unread))
    }

    async fn folders_of(&self, server: &Url, cloud: String) -> Result<Vec<String>, Error> {
        self.resources(server, "folders", Some(("cloudId", &cloud))).await
    }

    async fn groups(&self, compute: &Url, folder: &Folder) -> Result<Vec<TargetGroup>, Error> {
        let (path, within) = (["compute", "v1", "instances"], Some(("folderId", &*folder.id)));
        let instances = self.list(compute, path, "instances", within, decode::instances).await?;
        Ok(decode::groups(&folder.source, &instances))
    }

    async fn resources(
        &self,
        server: &Url,
        what: &'static str,
        within: Option<(&str, &str)>,
    ) -> Result<Vec<String>, Error> {
        self.list(server, ["resource-manager", "v1", what], what, within, decode::ids).await
    }

    /// Where a service is: found out once in a refresh, as one that is not told of anywhere would be asked for again for each folder.
    async fn service(&self, name: &'static str) -> Result<Url, Error> {
        self.account.directory.service(name).await
    }
}

#[async_trait]
impl Refresh for Yandexcloud {
    async fn refresh(&mut self) -> Result<Reading, Error> {
        let (folders, mut unread) = self.folders().await?;
        self.has_no_folders = folders.is_empty() && unread.is_empty();
        let compute = self.service("compute").await?;
        let (mut reading, mut groups) = (Vec::new(), Vec::new());
        for folder in &folders {
            reading.push((folder.source.clone(), self.groups(&compute, folder)));
        }
        for (source, found) in self.sources.read(AT_ONCE, reading).await {
            match found {
                Ok(found) => groups.extend(found),
                Err(error) => unread.push(Unreadable::new(source, error)),
            }
        }
        Ok(if unread.is_empty() { Reading::Everything(groups) } else { Reading::EverythingBut(groups, unread) })
    }

    fn warning(&self) -> Option<Error> {
        self.has_no_folders.then(|| YandexcloudError::NoFolders.into())
    }
}
