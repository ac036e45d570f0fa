//! The verbs about objects of the matchmaker, typed at a control process.

use std::process::Command;

use controlplane::{Control, config, grpc};
use serde_json::Value;

const UUID: &str = "6f3c0f62-1f52-4b7a-9d0e-5a1f7a1c0001";

/// What `ttgctl` prints, or says when it fails.
async fn ttgctl(server: &str, arguments: &str) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttgctl"));
    command.args(["--server", server]).args(arguments.split(' '));
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let text = |octets| String::from_utf8(octets).unwrap();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

async fn serve(text: &str) -> (String, grpc::Server, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("controlplane.toml");
    std::fs::write(&path, format!("state = \"{}\"\n{text}", state.path().display())).unwrap();
    let control = Control::start(config::load(&path).unwrap()).await.unwrap().0;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    (server, grpc::Server::start(listener, control), state)
}

#[tokio::test]
async fn bindings_and_accounts_are_made_listed_and_removed() {
    let (server, _running, state) = serve("[matchmaker]\nlisten = \"127.0.0.1:0\"\n").await;
    let key = state.path().join("key");
    std::fs::write(&key, format!("{}\n", "7f".repeat(32))).unwrap();
    let add = format!("accounts add info@example.org --key-file {}", key.display());
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "account info@example.org made\n");
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "account info@example.org is there\n");
    let accounts = ttgctl(&server, "accounts").await.unwrap();
    assert!(accounts.contains("info@example.org") && !accounts.contains("7f7f"), "{accounts}");

    let add = format!(
        "bindings add --service {UUID} --client 02:00:00:00:00:07 --min-rssi -75 --account info@example.org"
    );
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "binding 1 made\n");
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "binding 1 says so already (administrator)\n");
    let bindings: Value = serde_json::from_str(&ttgctl(&server, "bindings -o json").await.unwrap()).unwrap();
    assert_eq!(bindings[0]["policy"]["min_rssi_dbm"], -75);
    assert_eq!((&bindings[0]["radio"], &bindings[0]["account"]), (&"*".into(), &"info@example.org".into()));
    let table = ttgctl(&server, "bindings").await.unwrap();
    assert!(table.contains("ACCOUNT") && table.contains("min_rssi_dbm=-75"), "{table}");
    let why = format!("explain 02:00:00:00:00:07 02:00:00:00:00:09 --service {UUID}");
    let said = format!("service {UUID}: not shown because there is no such service\n");
    assert_eq!(ttgctl(&server, &why).await.unwrap(), said);
    assert!(ttgctl(&server, "radios --registered").await.unwrap().starts_with("RADIO"));

    let refused = ttgctl(&server, "accounts remove info@example.org").await.unwrap_err();
    assert!(refused.contains("still has bindings"), "{refused}");
    let remove = "bindings remove 1 --account info@example.org";
    assert_eq!(ttgctl(&server, remove).await.unwrap(), "binding 1 removed\n");
    assert!(ttgctl(&server, remove).await.unwrap_err().contains("has no binding 1"));
    let removed = ttgctl(&server, "accounts remove info@example.org -o json").await.unwrap();
    assert_eq!(removed, "{\"removed\":1}\n");
    let forgiven = ttgctl(&server, "forgive 02:00:00:00:00:07").await.unwrap();
    assert_eq!(forgiven, "02:00:00:00:00:07 was not refused everywhere\n");
    let drained = ttgctl(&server, "drain g --off").await.unwrap_err();
    assert!(drained.contains("no gateway `g` is attached"), "{drained}");
}

#[tokio::test]
async fn without_a_matchmaker_it_says_what_to_do() {
    let (server, _running, _state) = serve("").await;
    let add = format!("bindings add --service {UUID}");
    let refused = ttgctl(&server, &add).await.unwrap_err();
    assert!(refused.contains("this control process has no matchmaker"), "{refused}");
    assert!(ttgctl(&server, "bindings").await.unwrap().starts_with("ID"));
}
