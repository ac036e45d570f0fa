//! Who may ask the control daemon what, and what everybody else is told: `ttgctl` as a process, control on a real socket.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use controlplane::{Control, config, grpc};
use tls::testkit::{Authority, secret};

const ADMIN: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const BOARD: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// A control daemon with an authority, tokens, and operators of an authority of their own.
struct Site {
    directory: tempfile::TempDir,
    authority: Authority,
    port: u16,
    _server: grpc::Server,
}

impl Site {
    async fn start(config: &str) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new(directory.path(), "ca");
        authority.server("control", &["127.0.0.1", "control.example.org"]);
        let operators = Authority::new(directory.path(), "operators");
        operators.client("anna");
        operators.expired("old", &[]);
        Authority::new(directory.path(), "gateways").client("gateway");
        Authority::new(directory.path(), "others").client("stranger");
        secret(&directory.path().join("tokens"), &format!("ops admin {ADMIN}\nboard read-only {BOARD}\n"));
        secret(&directory.path().join("admin"), &format!("{ADMIN}\n"));
        secret(&directory.path().join("board"), BOARD);
        secret(&directory.path().join("wrong"), &"c".repeat(40));
        let (port, server) = serve(directory.path(), config).await;
        Site { directory, authority, port, _server: server }
    }

    /// What `ttgctl` prints, or says when it fails; `DIR/` is the site's directory.
    async fn ask(&self, scheme: &str, arguments: &str) -> Result<String, String> {
        let directory = self.directory.path().display().to_string();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ttgctl"));
        if !arguments.contains("--server ") {
            command.arg("--server").arg(format!("{scheme}://127.0.0.1:{}", self.port));
        }
        command.args(arguments.replace("DIR", &directory).split(' '));
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    #[track_caller]
    fn refused(&self, answer: Result<String, String>, parts: &[&str]) {
        let said = answer.unwrap_err();
        for part in parts {
            assert!(said.contains(part), "{part:?} is missing in: {said}");
        }
        assert!(!said.contains(ADMIN) && !said.contains(BOARD), "{said}");
    }
}

async fn serve(directory: &Path, text: &str) -> (u16, grpc::Server) {
    let path = directory.join("controlplane.toml");
    let text = format!("state = \"DIR/state\"\nlisten = \"127.0.0.1:0\"\n{text}");
    fs::write(&path, text.replace("DIR", &directory.display().to_string())).unwrap();
    let config = config::load(&path).unwrap();
    let access = grpc::Access::new(&config).unwrap();
    let listener = grpc::bind(config.listen).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let control = Control::start(config).await.unwrap().0;
    (port, grpc::Server::start_for(listener, control, access))
}

const TLS: &str = "tokens = \"DIR/tokens\"\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n[tls]\ncertificate = \"DIR/control.pem\"\n\
                   key = \"DIR/control.key\"\noperators = \"DIR/operators.pem\"\ngateways = \"DIR/gateways.pem\"\n";

#[tokio::test]
async fn operators_have_certificates_or_tokens() {
    let site = Site::start(TLS).await;
    let add = "accounts add info@example.org";
    let made =
        site.ask("https", &format!("--ca DIR/ca.pem --cert DIR/anna.pem --key DIR/anna.key {add}")).await;
    assert_eq!(made.unwrap(), "account info@example.org made\n");
    let there = site.ask("https", &format!("--ca DIR/ca.pem --token-file DIR/admin {add}")).await;
    assert_eq!(there.unwrap(), "account info@example.org is there\n");
    let named = "--ca DIR/ca.pem --server-name control.example.org --token-file DIR/board accounts";
    assert!(site.ask("https", named).await.unwrap().contains("info@example.org"));
    let refused = site.ask("https", &format!("--ca DIR/ca.pem --token-file DIR/board {add}")).await;
    site.refused(refused, &["the token `board` is read-only", "CreateAccount changes something"]);
    let refused = site.ask("https", "--ca DIR/ca.pem --token-file DIR/wrong accounts").await;
    site.refused(refused, &["the token is not one of this server's"]);
    let refused = site.ask("https", "--ca DIR/ca.pem accounts").await;
    site.refused(refused, &["who are you?", "--cert and --key", "--token-file"]);
    let gateway = "--ca DIR/ca.pem --cert DIR/gateway.pem --key DIR/gateway.key accounts";
    site.refused(site.ask("https", gateway).await, &["the certificate shown is not an operator's"]);
}

#[tokio::test]
async fn what_is_wrong_is_said() {
    let site = Site::start(TLS).await;
    let shown = |name: &str| format!("--ca DIR/ca.pem --cert DIR/{name}.pem --key DIR/{name}.key accounts");
    site.refused(site.ask("https", &shown("stranger")).await, &["does not know the authority"]);
    site.refused(
        site.ask("https", &shown("old")).await,
        &["the certificate shown to the server has expired"],
    );
    let other = site.ask("https", "--ca DIR/others.pem accounts").await;
    site.refused(other, &["not of the authority whose certificate was given"]);
    let named = site.ask("https", "--ca DIR/ca.pem --server-name x.example.org accounts").await;
    site.refused(named, &["not for the name `x.example.org`"]);
    site.refused(site.ask("http", "accounts").await, &["this port speaks TLS: use https://"]);
    site.refused(site.ask("https", "accounts").await, &["needs --ca FILE", "TTGCTL_CA"]);
    site.refused(site.ask("http", "--ca DIR/ca.pem accounts").await, &["is plain text", "say https://"]);
    site.refused(site.ask("https", "--ca DIR/ca.pem --cert DIR/anna.pem accounts").await, &["needs --key"]);
    site.refused(site.ask("https", "--ca DIR/nowhere accounts").await, &["cannot read", "nowhere"]);
    site.refused(site.ask("https", "--ca DIR/tokens accounts").await, &["no certificate in PEM form"]);
    let mixed = "--ca DIR/ca.pem --cert DIR/anna.pem --key DIR/gateway.key accounts";
    site.refused(site.ask("https", mixed).await, &["is not that of the certificate"]);
    let path = site.directory.path().join("admin");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = site.ask("https", "--ca DIR/ca.pem --token-file DIR/admin accounts").await;
    site.refused(open, &["everybody may read the token file", "chmod 600"]);

    // What the server shows, and who has a token, may change while it runs.
    site.authority.expired("control", &["127.0.0.1"]);
    let anna = shown("anna");
    site.refused(site.ask("https", &anna).await, &["the server's certificate has expired"]);
    site.authority.server("control", &["127.0.0.1"]);
    assert!(site.ask("https", &anna).await.is_ok());
    secret(&site.directory.path().join("tokens"), &format!("new admin {}\n", "c".repeat(40)));
    assert!(site.ask("https", "--ca DIR/ca.pem --token-file DIR/wrong accounts").await.is_ok());
    let gone = site.ask("https", "--ca DIR/ca.pem --token-file DIR/board accounts").await;
    site.refused(gone, &["the token is not one of this server's"]);
}

#[tokio::test]
async fn plain_text_is_for_this_machine() {
    let site = Site::start("tokens = \"DIR/tokens\"\n[matchmaker]\nlisten = \"127.0.0.1:0\"\n").await;
    site.refused(site.ask("http", "accounts").await, &["who are you?", "--token-file"]);
    assert!(site.ask("http", "--token-file DIR/board accounts").await.is_ok());
    site.refused(site.ask("https", "--ca DIR/ca.pem accounts").await, &["does not speak TLS: use http://"]);
    let elsewhere = site.ask("http", "--server http://192.0.2.1:7400 --token-file DIR/board accounts").await;
    site.refused(elsewhere, &["would cross the network in clear"]);
}
