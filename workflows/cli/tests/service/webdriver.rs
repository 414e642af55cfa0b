//! A real browser: Debian's chromium, told what to do by chromedriver over plain HTTP.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::client::Client;

/// The key under which the standard names elements.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one window; ends with the test.
pub(crate) struct Browser {
    driver: Child,
    client: Client,
    session: String,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.client.send("DELETE", &format!("/session/{}", self.session), &[], b"")
        }));
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

impl Browser {
    /// Starts one; nothing where chromedriver or chromium is not there.
    pub(crate) fn start() -> Option<Self> {
        let mut driver = Command::new("chromedriver");
        let mut driver = driver.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
        let mut lines = BufReader::new(driver.stdout.take()?).lines().map_while(Result::ok);
        // "ChromeDriver was started successfully on port 12345."
        let port = lines
            .find_map(|line| line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse::<u16>().ok())?;
        // It goes on talking, and somebody has to listen.
        std::thread::spawn(move || lines.count());
        let client = Client::new(&format!("127.0.0.1:{port}"));
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "goog:chromeOptions": {"args": [
                "--headless=new", "--no-sandbox", "--window-size=1280,900",
                // WebGL without a graphics card.
                "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
            ]},
        }}});
        let reply = client.post("/session", &wanted);
        let session = reply.json()["value"]["sessionId"].as_str().map(str::to_owned);
        let mut browser = Self { driver, client, session: session.clone().unwrap_or_default() };
        match session {
            Some(_) => Some(browser),
            None => {
                let _ = browser.driver.kill();
                None
            }
        }
    }

    #[track_caller]
    fn post(&self, path: &str, body: &Value) -> Value {
        let reply = self.client.post(&format!("/session/{}{path}", self.session), body);
        reply.is(200).json()["value"].clone()
    }

    pub(crate) fn open(&self, url: &str) {
        self.post("/url", &json!({"url": url}));
    }

    /// What a script gives back.
    #[track_caller]
    pub(crate) fn script(&self, text: &str) -> Value {
        self.post("/execute/sync", &json!({"script": text, "args": []}))
    }

    /// Waits until a script says yes.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, script: &str) {
        let begun = Instant::now();
        while self.script(&format!("return Boolean({script})")) != json!(true) {
            let page = || self.script("return document.body.innerText");
            assert!(begun.elapsed() < Duration::from_secs(120), "waited too long for {what}: {}", page());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    #[track_caller]
    fn find(&self, css: &str) -> String {
        let found = self.post("/element", &json!({"using": "css selector", "value": css}));
        found[ELEMENT].as_str().unwrap_or_else(|| panic!("no {css}")).to_owned()
    }

    /// Clicks as a person does, where the element is seen.
    #[track_caller]
    pub(crate) fn click(&self, css: &str) {
        let element = self.find(css);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    /// Types into an element; keys without letters have code points of their own.
    #[track_caller]
    pub(crate) fn keys(&self, css: &str, text: &str) {
        let element = self.find(css);
        self.post(&format!("/element/{element}/value"), &json!({"text": text}));
    }

    /// A picture of the window, in a folder if one is asked for.
    #[track_caller]
    pub(crate) fn picture(&self, folder: Option<&Path>, name: &str) -> Vec<u8> {
        let reply = self.client.get(&format!("/session/{}/screenshot", self.session)).is(200).json();
        let png = decoded(reply["value"].as_str().expect("a picture"));
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder).expect("a folder");
            std::fs::write(folder.join(format!("{name}.png")), &png).expect("a picture");
        }
        png
    }

    /// Tells the browser how the person likes it.
    pub(crate) fn emulate(&self, command: &str, parameters: Value) {
        self.post("/goog/cdp/execute", &json!({"cmd": command, "params": parameters}));
    }

    /// Errors that the page made since the last call.
    pub(crate) fn errors(&self) -> Vec<String> {
        let entries = self.post("/se/log", &json!({"type": "browser"}));
        let severe = entries.as_array().into_iter().flatten().filter(|entry| entry["level"] == "SEVERE");
        severe.map(|entry| entry["message"].to_string()).collect()
    }
}

/// Bytes of base64.
fn decoded(text: &str) -> Vec<u8> {
    let value = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let digits: Vec<u8> = text.bytes().filter_map(value).collect();
    let group = |four: &[u8]| {
        let bits = four.iter().fold(0_u32, |bits, digit| bits << 6 | u32::from(*digit)) << (6 * (4 - four.len()));
        bits.to_be_bytes()[1..four.len()].to_vec()
    };
    digits.chunks(4).flat_map(group).collect()
}
