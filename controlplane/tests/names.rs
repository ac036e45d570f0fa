//! A matchmaker elsewhere whose name cannot be looked up at first: it is looked up again. The name is in a file of hosts that only this test sees.

mod common;

use std::{fs, process::Command, time::Duration};

use common::*;
use proto::gateway::command::Command as C;
use tokio::time::timeout;

async fn test(hosts: std::path::PathBuf) {
    let key = "07".repeat(32);
    let matchmaking = format!("[matchmaking]\nserver = \"matchmaker.example.org:5248\"\nkey = \"{key}\"\n");
    let (control, _state) = control(&[SERVICE, &matchmaking].concat()).await;
    let mut link = attach(&control, "g").await;
    // Not what the test depends on: so that the first look-up is in vain.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(
        link.commands.try_recv().is_ok_and(|batch| {
            !batch.iter().any(|command| matches!(command.command, Some(C::Datagram(_))))
        })
    );
    fs::write(hosts, "127.0.0.9 matchmaker.example.org\n").unwrap();
    let said = timeout(PATIENCE, async {
        loop {
            for command in link.commands.recv().await.expect("control lives") {
                if let Some(C::Datagram(datagram)) = command.command {
                    return datagram.peer;
                }
            }
        }
    });
    assert_eq!(said.await.expect("the gateway is to say something to the matchmaker"), "127.0.0.9:5248");
}

#[test]
fn a_name_that_cannot_be_looked_up_is_looked_up_again() {
    let elsewhere = || {
        let directory = tempfile::tempdir().unwrap();
        let hosts = directory.path().join("hosts");
        fs::write(&hosts, "").unwrap();
        // SAFETY: no pointer goes in. It concerns this thread only, and what it starts.
        let result = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
        assert_eq!(result, 0, "this test makes namespaces and so needs root");
        for arguments in [&["--make-rprivate", "/"][..], &["--bind", hosts.to_str().unwrap(), "/etc/hosts"]] {
            assert!(Command::new("mount").args(arguments).status().unwrap().success(), "mount {arguments:?}");
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test(hosts));
    };
    if let Err(panic) = std::thread::spawn(elsewhere).join() {
        std::panic::resume_unwind(panic);
    }
}
