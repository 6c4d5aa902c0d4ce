//! A way to the service that tells what passes: a line for each request, and bodies where that is wished for.
//!
//! Not here: where lines go (`cli`). Source: `client.md` 12.3.
//! Invariant: headers are never told, so that no token is; secrets in bodies are masked, long values cut.

use crate::problem::shortened;
use crate::transport::{Error, Request, Response, Transport};
use async_trait::async_trait;
use serde_json::Value as Json;
use std::sync::Arc;
use tokio::time::Instant;

/// Members of bodies with such a word in their name are secret.
const SECRET_WORDS: [&str; 5] = ["password", "secret", "token", "authorization", "credential"];
/// What stands for a secret.
const MASK: &str = "***";

/// Where lines go.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// A way to the service that tells what passes.
pub struct Traced<T> {
    inner: T,
    tell: Tell,
    with_bodies: bool,
}

impl<T> Traced<T> {
    /// Tells `tell`.
    pub fn new(inner: T, tell: Tell, with_bodies: bool) -> Self {
        Self { inner, tell, with_bodies }
    }
}

#[async_trait]
impl<T: Transport> Transport for Traced<T> {
    async fn send(&self, request: Request) -> Result<Response, Error> {
        self.send_as(0, request).await
    }

    fn identities(&self) -> usize {
        self.inner.identities()
    }

    async fn send_as(&self, identity: usize, request: Request) -> Result<Response, Error> {
        let bytes = request.body.len();
        let line = format!("{} {}", request.method.as_str(), shortened(&request.path));
        let sent = (self.with_bodies && bytes > 0).then(|| shown(&request.body));
        let started = Instant::now();
        let answer = self.inner.send_as(identity, request).await;
        let took = started.elapsed().as_secs_f64();
        let name = self.inner.name(identity);
        let as_whom = if name.is_empty() { String::new() } else { format!(" as `{name}`") };
        let body = if bytes > 0 { format!(" ({bytes} bytes)") } else { String::new() };
        let said = match &answer {
            Ok(response) => format!("{}", response.status),
            Err(err) => format!("no answer: {}", shortened(&err.to_string())),
        };
        let mut lines = vec![format!("{line}{body}{as_whom}: {said} in {took:.3} s")];
        lines.extend(sent.map(|text| format!("  sent: {text}")));
        if let Ok(response) = &answer
            && self.with_bodies
            && !response.body.is_empty()
        {
            lines.push(format!("  answer: {}", shown(&response.body)));
        }
        (self.tell)(&lines.join("\n"));
        answer
    }

    fn name(&self, identity: usize) -> &str {
        self.inner.name(identity)
    }
}

/// A body for people: long values cut, secrets masked. What is no JSON is shown line by line.
pub fn shown(body: &[u8]) -> String {
    if let Ok(mut json) = serde_json::from_slice::<Json>(body) {
        mask(&mut json);
        return json.to_string();
    }
    let Ok(text) = std::str::from_utf8(body) else { return format!("{} bytes", body.len()) };
    let lines = text.lines().map(|line| match serde_json::from_str::<Json>(line) {
        Ok(mut json @ (Json::Object(_) | Json::Array(_))) => {
            mask(&mut json);
            json.to_string()
        }
        _ if is_secret(line) => MASK.to_owned(),
        _ => shortened(line).into_owned(),
    });
    lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n    ")
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word))
}

fn mask(json: &mut Json) {
    match json {
        Json::Object(members) => {
            for (name, value) in members {
                match value {
                    value if is_secret(name) => *value = MASK.into(),
                    value => mask(value),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(mask),
        Json::String(text) => *text = shortened(text).into_owned(),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_long_values_cut() {
        let long = "x".repeat(300);
        let body = serde_json::json!({
            "name": long, "ClientSecret": "s3cret", "inner": [{"access_token": {"a": "t0ken"}}], "n": 5,
        });
        let text = shown(body.to_string().as_bytes());
        assert!(!text.contains("s3cret") && !text.contains("t0ken"), "{text}");
        assert!(text.contains(&format!("\"{}…\"", "x".repeat(100))), "{text}");
        assert!(text.contains("\"n\":5"), "{text}");
        let batch = format!("--b\r\nAuthorization: Bearer s3cret\r\n\r\n{body}\r\n--b--");
        let text = shown(batch.as_bytes());
        assert!(
            text.contains("--b--") && text.contains(MASK) && !text.contains("s3cret"),
            "{text}"
        );
        assert_eq!(shown(&[0xff, 0xfe]), "2 bytes");
    }
}
