//! The verbs about objects of the matchmaker, typed at a control process.

use std::{
    io::BufRead,
    os::unix::fs::PermissionsExt,
    process::{Child, Command},
};

use controlplane::{Control, config, grpc};
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

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
    let (server, _, running, state) = serve_control(text).await;
    (server, running, state)
}

/// Also control itself.
async fn serve_control(text: &str) -> (String, Control, grpc::Server, tempfile::TempDir) {
    let state = tempfile::tempdir().unwrap();
    let path = state.path().join("controlplane.toml");
    std::fs::write(&path, format!("state = \"{}\"\n{text}", state.path().display())).unwrap();
    let control = Control::start(config::load(&path).unwrap()).await.unwrap().0;
    let listener = grpc::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    (server, control.clone(), grpc::Server::start(listener, control), state)
}

/// A radio agent with this configuration, on simulated air. It goes on until the process ends.
fn radio(text: &str) {
    use radio_agent::{backend, config::Config, daemon::Log, event_loop};
    let config = Config::parse(text).unwrap();
    std::thread::spawn(move || {
        let signals = event_loop::Signals::block().unwrap();
        let log = Log::new(false);
        let agent = event_loop::EventLoop::new(&config, backend::start(&config).unwrap(), log).unwrap();
        agent.run(&signals, log).unwrap();
    });
}

#[tokio::test]
async fn bindings_and_accounts_are_made_listed_and_removed() {
    let (server, _running, state) = serve("[matchmaker]\nlisten = \"127.0.0.1:0\"\n").await;
    let key = state.path().join("key");
    let add = format!("accounts add info@example.org --key-file {}", key.display());
    for nothing in ["", " \n"] {
        tls::testkit::secret(&key, nothing);
        let refused = ttgctl(&server, &add).await.unwrap_err();
        assert!(refused.contains("there is no key in") && refused.contains("64 hexadecimal"), "{refused}");
        let refused = ttgctl(&server, &format!("{add} --replace-key")).await.unwrap_err();
        assert!(refused.contains("there is no key in"), "{refused}");
    }
    assert!(!ttgctl(&server, "accounts").await.unwrap().contains("info@example.org"));
    tls::testkit::secret(&key, &format!("{}\n", "7f".repeat(32)));
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let refused = ttgctl(&server, &add).await.unwrap_err();
    assert!(refused.contains("everybody may read the key file"), "{refused}");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "account info@example.org made\n");
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "account info@example.org is there\n");
    let accounts = ttgctl(&server, "accounts").await.unwrap();
    assert!(accounts.contains("info@example.org") && !accounts.contains("7f7f"), "{accounts}");
    let refused = ttgctl(&server, "accounts add info@example.org --replace-key").await.unwrap_err();
    assert!(refused.contains("--key-file"), "{refused}");
    let refused = ttgctl(&server, "accounts add info@example.org").await.unwrap_err();
    assert!(refused.contains("is there with a key; say remove_key"), "{refused}");
    assert!(ttgctl(&server, &format!("{add} --remove-key")).await.unwrap_err().contains("--key-file"));
    let remove = "accounts add info@example.org --remove-key";
    assert_eq!(ttgctl(&server, remove).await.unwrap(), "account info@example.org is there\n");
    let shown = ttgctl(&server, "accounts show info@example.org -o json").await.unwrap();
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["has_key"], false);
    assert_eq!(
        ttgctl(&server, &format!("{add} --replace-key")).await.unwrap(),
        "account info@example.org is there\n"
    );

    let add = format!(
        "bindings add --service {UUID} --client 02:00:00:00:00:07 --min-rssi -75 --account info@example.org"
    );
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "binding 1 made\n");
    assert_eq!(ttgctl(&server, &add).await.unwrap(), "binding 1 says so already (administrator)\n");
    let differs = ttgctl(&server, &add.replace("-75", "-70")).await.unwrap_err();
    assert!(differs.contains("`ttgctl bindings set 1 --account info@example.org`"), "{differs}");
    let set = "bindings set 1 --account info@example.org";
    let nothing = ttgctl(&server, set).await.unwrap_err();
    assert!(nothing.contains("--clear-policy"), "{nothing}");
    let said = ttgctl(&server, &format!("{set} --max-clients 3 --json")).await.unwrap();
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((&said["id"], &said["policy"]), (&1.into(), &serde_json::json!({"max_clients": 3})));
    assert!(ttgctl(&server, &format!("{set} --clear-policy")).await.unwrap().contains("policy       -"));
    ttgctl(&server, &format!("{set} --min-rssi -75")).await.unwrap();
    let other = ttgctl(&server, "bindings set 1 --clear-policy").await.unwrap_err();
    assert!(other.contains("has no binding 1"), "{other}");
    let bindings: Value = serde_json::from_str(&ttgctl(&server, "bindings -o json").await.unwrap()).unwrap();
    assert_eq!(bindings[0]["policy"]["min_rssi_dbm"], -75);
    assert_eq!((&bindings[0]["radio"], &bindings[0]["account"]), (&"*".into(), &"info@example.org".into()));
    let of = async |conditions: &str| {
        let json = ttgctl(&server, &format!("bindings {conditions} --json")).await.unwrap();
        serde_json::from_str::<Value>(&json).unwrap().as_array().unwrap().len()
    };
    assert_eq!(of("--client 02-00-00-00-00-07 --account info@example.org --radio *").await, 1);
    assert_eq!(of(&format!("--service {UUID} --page-size 5")).await, 1);
    assert_eq!(of("--client 02:00:00:00:00:08").await, 0);
    assert_eq!(of("--account=").await, 0);
    let wrong = ttgctl(&server, "bindings --watch --client foo").await.unwrap_err();
    assert!(wrong.contains("bindings.client: `foo` is neither a MAC address"), "{wrong}");
    let table = ttgctl(&server, "bindings").await.unwrap();
    assert!(table.contains("ACCOUNT") && table.contains("min_rssi_dbm=-75"), "{table}");
    let why = format!("explain 02:00:00:00:00:07 02:00:00:00:00:09 --service {UUID}");
    let said = format!("service {UUID}: not shown because there is no such service\n");
    assert_eq!(ttgctl(&server, &why).await.unwrap(), said);
    assert!(ttgctl(&server, "radios --registered").await.unwrap().starts_with("RADIO"));

    let refused = ttgctl(&server, "accounts remove info@example.org").await.unwrap_err();
    assert!(refused.contains("still has bindings"), "{refused}");
    let misplaced = ttgctl(&server, "bindings --account info@example.org remove 1").await.unwrap_err();
    assert!(misplaced.contains("say it behind the verb"), "{misplaced}");
    let remove = "bindings remove 1 --account info@example.org";
    assert_eq!(ttgctl(&server, remove).await.unwrap(), "binding 1 removed\n");
    assert!(ttgctl(&server, remove).await.unwrap_err().contains("has no binding 1"));
    let removed = ttgctl(&server, "accounts remove info@example.org -o json").await.unwrap();
    assert_eq!(removed, "{\"removed\":1}\n");
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

#[tokio::test]
async fn every_object_is_shown_and_changed() {
    let service = format!("[[service]]\nuuid = \"{UUID}\"\nssid = \"home\"\nsecurity = \"open\"\n");
    let (server, _running, _state) =
        serve(&format!("{service}[matchmaker]\nlisten = \"127.0.0.1:0\"\n")).await;
    let said = async |arguments: &str| ttgctl(&server, arguments).await.unwrap();
    let json = async |arguments: &str| -> Value { serde_json::from_str(&said(arguments).await).unwrap() };
    for n in 0..3 {
        assert_eq!(
            said(&format!("accounts add a{n}@example.org")).await,
            format!("account a{n}@example.org made\n")
        );
    }
    assert_eq!(json("accounts show a1@example.org --json").await["has_key"], false);
    assert!(said("accounts show a1@example.org").await.contains("origin       administrator"));
    let page = json("accounts --page-size 2 --json").await;
    assert_eq!(page.as_array().unwrap().len(), 2);
    let rest = json("accounts --page-size 2 --page-token a1@example.org --json").await;
    assert_eq!((rest.as_array().unwrap().len(), &rest[0]["id"]), (1, &"a2@example.org".into()));

    let grant = "--radios-of a1@example.org --services-of a2@example.org";
    let may = "services of a2@example.org on radios of a1@example.org may be shown";
    assert_eq!(said(&format!("grants add {grant}")).await, format!("{may}\n"));
    assert_eq!(said(&format!("grants add {grant}")).await, format!("{may} already\n"));
    assert_eq!(json("grants --json").await[0]["radios_of"], "a1@example.org");
    assert_eq!(json(&format!("grants show {grant} --json")).await["services_of"], "a2@example.org");
    assert!(said(&format!("grants remove {grant}")).await.contains("may not be shown any more"));
    let gone = ttgctl(&server, &format!("grants show {grant}")).await.unwrap_err();
    assert!(gone.contains("`ttgctl grants`"), "{gone}");

    let flags = "--min-rssi -75 --min-up 1 --min-down 2 --delay 3 --max-mobility 4 --steer-delay 5 --dwell 6 \
                 --kick-rssi -85 --suppress-rssi -80 --max-clients 7 --hidden --yields-to-home=false";
    let flags = flags.split_whitespace().collect::<Vec<_>>().join(" ");
    let made =
        json(&format!("bindings add --service {UUID} --client 02:00:00:00:00:07 {flags} --json")).await;
    let policy = &made["binding"]["policy"];
    assert_eq!((&made["created"], policy.as_object().unwrap().len()), (&true.into(), 12), "{policy}");
    assert_eq!((&policy["hidden"], &policy["yields_to_home"]), (&true.into(), &false.into()));
    assert_eq!(json("bindings show 1 --json").await, made["binding"]);

    let add = format!("contracts add --service {UUID} --identity user@example.org --max-down 1000000");
    assert_eq!(said(&add).await, "contract 1 made\n");
    assert_eq!(said(&add).await, "contract 1 is there already\n");
    assert_eq!(json("contracts --json").await[0]["identity"], "user@example.org");
    assert!(said("contracts show 1").await.contains("1000000 bit/s"));
    assert_eq!(said("contracts remove 1").await, "contract 1 removed\n");

    let add = "radios add 02:00:00:00:00:09 --account a1@example.org";
    assert_eq!(said(add).await, "radio 02:00:00:00:00:09 is a1@example.org's\n");
    // It is on record, and silent.
    assert_eq!(json("radios --registered --json").await, Value::Array(Vec::new()));
    let recorded = json("radios --recorded --account A1@example.org --json").await;
    assert_eq!((&recorded[0]["radio"], recorded.as_array().unwrap().len()), (&"02:00:00:00:00:09".into(), 1));
    assert_eq!(json("radios --recorded --account a2@example.org --json").await, Value::Array(Vec::new()));
    let shown = json("radios show 02:00:00:00:00:09 --json").await;
    assert_eq!(shown, recorded[0]);
    assert_eq!((&shown["registered"], &shown["recorded"]), (&false.into(), &true.into()));
    assert!(said("radios show 02:00:00:00:00:09").await.contains("registered   no\nrecorded     yes"));
    assert!(ttgctl(&server, "radios --account a1@example.org").await.unwrap_err().contains("--recorded"));
    let refused = ttgctl(&server, "accounts remove a1@example.org").await.unwrap_err();
    assert!(refused.contains("`ttgctl radios --recorded --account a1@example.org` shows them"), "{refused}");
    assert_eq!(said("radios remove 02:00:00:00:00:09").await, "radio 02:00:00:00:00:09 removed\n");
    let gone = ttgctl(&server, "radios show 02:00:00:00:00:09").await.unwrap_err();
    assert!(gone.contains("it is not registered, and there is no record of it"), "{gone}");
    assert_eq!(said("accounts remove a1@example.org").await, "account a1@example.org removed\n");
    for list in ["sessions", "radios", "services", "gateways"] {
        assert!(json(&format!("{list} --page-size 1 --json")).await.is_array(), "{list}");
    }
    // What nobody can be is said at once, rather than waited for.
    let nobody = ttgctl(&server, "sessions --watch --client foo").await.unwrap_err();
    assert!(nobody.contains("client: `foo` is not a MAC address"), "{nobody}");
    let nothing = ttgctl(&server, "sessions --watch --service foo").await.unwrap_err();
    assert!(nothing.contains("service: `foo` is not a UUID"), "{nothing}");
    let page = ttgctl(&server, "sessions --page-token x").await.unwrap_err();
    assert!(page.contains("page_token: `x` is not the next_page_token"), "{page}");
    assert!(said("networks").await.starts_with("SSID"));
    assert!(said("suggestions").await.starts_with("SSID"));
    assert_eq!(json("suggestions --json").await, Value::Array(Vec::new()));
    let set = ttgctl(&server, &format!("networks set {UUID} --min-rssi -70")).await.unwrap_err();
    assert!(set.contains("no service") && set.contains("ttgctl networks"), "{set}");
    assert!(said("usage --last 24 --page-size 5").await.starts_with("CLIENT"));
    assert_eq!(json("usage --account a1@example.org --json").await, Value::Array(Vec::new()));
    let phone = "02:00:00:00:00:07";
    assert_eq!(
        said(&format!("clients add {phone} --name phone")).await,
        format!("device {phone} is on record\n")
    );
    assert!(said(&format!("clients add {phone} --name phone")).await.contains("already"));
    assert_eq!(json("clients --json").await[0]["name"], "phone");
    assert!(said(&format!("clients show {phone}")).await.contains("refused for  -"));
    assert_eq!(said(&format!("clients remove {phone}")).await, format!("device {phone} removed\n"));
    let gone = ttgctl(&server, &format!("clients show {phone}")).await.unwrap_err();
    assert!(gone.contains("there is no record of"), "{gone}");
    let forgiven = said("forgive 02:00:00:00:00:07").await;
    assert!(forgiven.starts_with("02:00:00:00:00:07 may come again"), "{forgiven}");
}

/// One that goes on, and the lines that it prints.
fn start(server: &str, arguments: &str) -> (Child, UnboundedReceiver<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ttgctl"));
    command.args(["--server", server]).args(arguments.split(' ')).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (lines, heard) = tokio::sync::mpsc::unbounded_channel();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| lines.send(line)));
    (child, heard)
}

#[tokio::test]
async fn where_a_radio_is_and_what_it_can_is_shown_as_it_is_configured() {
    let (server, control, _running, state) = serve_control("[matchmaker]\nlisten = \"127.0.0.1:0\"\n").await;
    let at = control.matchmaker().unwrap();
    let (mut watching, mut changes) = start(&server, "radios --registered --watch --json");
    let agent = |n: u8, channel: u8, more: &str| {
        let air = state.path().join(format!("air{n}"));
        radio(&format!(
            "radio = \"00:bb:00:00:00:{n:02x}\"\n[backend]\nkind = \"air\"\nsocket = \"{}\"\nchannel = {channel}\n\
             [matchmaking]\nserver = \"{}\"\nkey = \"{}\"\nbssids = 2\nsecret_file = \"{}\"\n{more}\n",
            air.display(),
            at.listen,
            at.key,
            air.with_extension("key").display()
        ));
    };
    agent(7, 36, "location = \"-52.5163, 13.37771234, at the gate, 2nd\"");
    let change: Value = serde_json::from_str(&changes.recv().await.unwrap()).unwrap();
    assert_eq!(change["radio"]["radio"], "00:bb:00:00:00:07");
    let show = "radios show 00:bb:00:00:00:07";
    let shown: Value =
        serde_json::from_str(&ttgctl(&server, &format!("{show} --json")).await.unwrap()).unwrap();
    let location = json!({"latitude": -52.5163, "longitude": 13.3777123, "civic": "at the gate, 2nd"});
    assert_eq!((&shown["location"], &shown["capabilities"]), (&location, &json!(["5 GHz"])));
    assert_eq!(change["radio"]["location"], location);
    let one = ttgctl(&server, show).await.unwrap();
    assert!(one.contains("\nlocation     -52.5163, 13.3777123, at the gate, 2nd\n"), "{one}");
    assert!(one.contains("\ncapabilities 5 GHz\n"), "{one}");

    agent(8, 6, "");
    changes.recv().await.unwrap();
    let table = ttgctl(&server, "radios --registered").await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    assert!(
        lines[0].ends_with("LOCATION") && lines[1].ends_with("-52.5163, 13.3777123, at the gate, 2nd"),
        "{table}"
    );
    assert!(lines[2].starts_with("00:bb:00:00:00:08") && lines[2].ends_with(" -"), "{table}");
    let list: Value =
        serde_json::from_str(&ttgctl(&server, "radios --registered --json").await.unwrap()).unwrap();
    assert_eq!(
        (&list[0], &list[1]["location"], &list[1]["capabilities"]),
        (&shown, &Value::Null, &json!([]))
    );
    watching.kill().unwrap();
    watching.wait().unwrap();
}

#[tokio::test]
async fn what_changes_is_printed_as_it_does() {
    let (server, _running, _state) = serve("[matchmaker]\nlisten = \"127.0.0.1:0\"\n").await;
    ttgctl(&server, "accounts add a@example.org").await.unwrap();
    let (mut table, mut lines) = start(&server, "accounts --watch");
    let (mut json, mut objects) = start(&server, "accounts --watch --json");
    assert_eq!(lines.recv().await.unwrap(), "present  a@example.org  no  administrator");
    let object: Value = serde_json::from_str(&objects.recv().await.unwrap()).unwrap();
    assert_eq!((&object["change"], &object["account"]["id"]), (&"present".into(), &"a@example.org".into()));
    ttgctl(&server, "accounts add b@example.org").await.unwrap();
    assert_eq!(lines.recv().await.unwrap(), "updated  b@example.org  no  administrator");
    ttgctl(&server, "accounts remove b@example.org").await.unwrap();
    let removed = lines.recv().await.unwrap();
    assert!(removed.starts_with("removed  b@example.org"), "{removed}");
    for _ in 0..2 {
        let object: Value = serde_json::from_str(&objects.recv().await.unwrap()).unwrap();
        assert_eq!(object["account"]["id"], "b@example.org");
    }
    for child in [&mut table, &mut json] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
