//! `POST /hooks/{workflow}/{trigger}`: what is posted to a webhook.

use axum::http::StatusCode;
use serde_json::json;

use super::{
    Api,
    answer::{Answer, Problem, json as answer},
    call::Call,
};
use crate::{
    trigger::{Brought, Look, Refused, Request},
    watcher,
};

/// Takes what was posted in.
pub(crate) fn take(api: &Api, call: &Call) -> Answer {
    let (name, hook) = (call.part("workflow"), call.part("trigger"));
    let workflow = api.service.library.get(name).ok_or_else(unknown)?;
    let trigger = workflow.trigger(hook).ok_or_else(unknown)?;
    let webhook = trigger.source.webhook().ok_or_else(unknown)?;
    if webhook.is_open() && api.listen.reaches_others() {
        let title = "this webhook has neither a secret nor a token, and the service is reached from elsewhere";
        return Err(Problem::new(StatusCode::FORBIDDEN, title));
    }
    let signatures = ["x-hub-signature-256", "x-signature-256", "webhook-signature"];
    let request = Request {
        signature: signatures.iter().find_map(|name| call.header(name)),
        authorization: call.header("authorization"),
        body: &call.body,
    };
    match webhook.take(&request) {
        Ok(Brought::Items(found)) => {
            let look = Look { found, ..Look::default() };
            let looked = watcher::take_in(&api.service.store, (&workflow, hook), trigger, look, None)?;
            answer(&looked)
        }
        Ok(Brought::Confirm(address)) => {
            // Whoever runs the service opens it, after a look at it; the service opens nothing that it is sent.
            tracing::warn!("webhook {name}/{hook} is asked to confirm a subscription at {address}");
            let shown: String = address.chars().take(2_000).collect();
            api.service.store.note_skips(
                (name, hook),
                &[("subscription".to_owned(), format!("to be confirmed at {shown}"))],
                api.service.now(),
            )?;
            answer(&json!({"confirm": "by whoever runs this service"}))
        }
        Err(Refused::Stranger) => {
            Err(Problem::new(StatusCode::UNAUTHORIZED, "the request is not signed as it should be"))
        }
        Err(Refused::Unclear(reason)) => Err(Problem::bad(reason)),
        Err(Refused::Forbidden(reason)) => Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, reason)),
    }
}

/// The same answer for whatever is not there, so that nobody learns names by asking.
fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no such webhook")
}
