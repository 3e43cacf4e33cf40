//! The client against servers on the loopback interface.

mod auth;
mod fetch;
mod http2;
mod oauth2;
mod plain;
mod proxies;
mod tls;
mod tls_server;
mod unix;
mod zones;

use super::{Client, ClientError, HttpClientConfig, Options, Request, Response};

fn client(settings: &str) -> Client {
    try_client(settings).expect(settings)
}

fn try_client(settings: &str) -> Result<Client, ClientError> {
    let config: HttpClientConfig = serde_yaml::from_str(settings).expect(settings);
    assert_eq!(config.check(), [], "{settings}");
    Client::new(&config, Options::default())
}

async fn get(client: &Client, url: &str) -> Result<Response, ClientError> {
    client.send(Request::get(url.parse().expect(url))).await
}

/// The body of a reply that must be a success.
async fn body(client: &Client, url: &str) -> Result<String, ClientError> {
    let body = get(client, url).await?.success()?.body(None).await?;
    Ok(String::from_utf8(body).expect("tests reply with text"))
}
