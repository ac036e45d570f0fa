//! A real Redis on a free port of the loopback address, with nothing on disk; gone with the value.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    io::{BufRead, BufReader},
    net::TcpListener,
    process::{Child, Command, Stdio},
};

pub struct Server {
    pub port: u16,
    arguments: Vec<String>,
    directory: tempfile::TempDir,
    process: Option<Child>,
}

impl Server {
    /// With these arguments beside what it needs to run here.
    pub fn start(arguments: &[&str]) -> Server {
        let arguments = arguments.iter().map(ToString::to_string).collect();
        let directory = tempfile::tempdir().unwrap();
        let mut server = Server { port: 0, arguments, directory, process: None };
        for _ in 0..20 {
            // Nobody else may have it, nor the port that a cluster's nodes speak to each other at.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            server.port = port;
            if port < 50_000 && server.try_again() {
                return server;
            }
        }
        panic!("redis-server does not start on any port");
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As when the machine loses power.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Empty, on the same port.
    pub fn restart(&mut self) {
        self.kill();
        for _ in 0..50 {
            if self.try_again() {
                return;
            }
        }
        panic!("redis-server does not start again");
    }

    /// It stands still, and goes on.
    pub fn signal(&self, name: &str) {
        let pid = self.process.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([format!("-{name}"), pid]).status().unwrap().success());
    }

    /// What `redis-cli` answers.
    pub fn ask(&self, question: &[&str]) -> Vec<u8> {
        let port = self.port.to_string();
        let answer = Command::new("redis-cli").args(["-p", &port]).args(question).output();
        answer.expect("redis-cli is not installed: deploy/setup.sh test does it").stdout
    }

    fn try_again(&mut self) -> bool {
        let mut process = Command::new("redis-server")
            .args([
                "--port",
                &self.port.to_string(),
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--appendonly",
                "no",
            ])
            .arg("--dir")
            .arg(self.directory.path())
            .args(&self.arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is not installed: deploy/setup.sh test does it");
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let ready =
            lines.by_ref().map_while(Result::ok).any(|line| line.contains("Ready to accept connections"));
        // Nobody reads on: it must not wait for that.
        std::thread::spawn(move || lines.for_each(drop));
        self.process = Some(process);
        if !ready {
            self.kill();
        }
        ready
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Three nodes that have all slots between them.
pub fn cluster() -> Vec<Server> {
    let nodes: Vec<Server> = (0..3)
        .map(|_| Server::start(&["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]))
        .collect();
    let addresses: Vec<String> = nodes.iter().map(Server::address).collect();
    let made = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(&addresses)
        .args(["--cluster-yes"])
        .output()
        .expect("redis-cli is not installed: deploy/setup.sh test does it");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stdout));
    nodes
}
