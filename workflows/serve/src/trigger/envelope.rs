//! What a webhook is sent: an item, items, or one of the envelopes that clouds put them in.

use serde_json::Value;

/// Envelopes within envelopes: an SNS message in an SQS record in an EventBridge event.
const DEEPEST: usize = 4;

/// What an envelope held.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Letter {
    /// Items, as they were sent.
    Items(Vec<Value>),
    /// A topic of SNS asks whether its messages are wanted; whoever runs the service confirms it at this address. It is
    /// never opened here: whoever can post could make the service open any address.
    Confirm(String),
    /// Something that brings no item, such as a farewell of a topic.
    Nothing,
}

/// Opens what was sent.
pub(crate) fn open(body: &Value) -> Result<Letter, String> {
    open_at(body, 0)
}

fn open_at(body: &Value, depth: usize) -> Result<Letter, String> {
    if depth > DEEPEST {
        return Err(format!("more than {DEEPEST} envelopes within each other"));
    }
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    match text("type") {
        Some("Feature") => return Ok(Letter::Items(vec![body.clone()])),
        Some("FeatureCollection") => {
            let features = body.get("features").and_then(Value::as_array);
            return features.cloned().map(Letter::Items).ok_or_else(|| "a collection without `features`".to_owned());
        }
        _ => {}
    }
    // SNS.
    match text("Type") {
        Some("Notification") => {
            let message = text("Message").ok_or("an SNS notification without `Message`")?;
            let inner = serde_json::from_str(message).map_err(|error| format!("`Message` holds no JSON: {error}"))?;
            return open_at(&inner, depth + 1);
        }
        Some("SubscriptionConfirmation") => {
            let address = text("SubscribeURL").ok_or("a confirmation without `SubscribeURL`")?;
            return Ok(Letter::Confirm(address.to_owned()));
        }
        Some("UnsubscribeConfirmation") => return Ok(Letter::Nothing),
        _ => {}
    }
    // EventBridge.
    if body.get("detail-type").is_some()
        && let Some(detail) = body.get("detail")
    {
        return open_at(detail, depth + 1);
    }
    // CloudEvents in structured mode.
    if body.get("specversion").is_some() {
        return match body.get("data") {
            Some(Value::String(text)) => {
                let inner = serde_json::from_str(text).map_err(|error| format!("`data` holds no JSON: {error}"))?;
                open_at(&inner, depth + 1)
            }
            Some(data) => open_at(data, depth + 1),
            None if body.get("data_base64").is_some() => Err("`data_base64` is not read: send `data`".to_owned()),
            None => Ok(Letter::Nothing),
        };
    }
    match body {
        // Batches of CloudEvents, and lists of items.
        Value::Array(parts) => {
            let mut items = Vec::new();
            for part in parts {
                match open_at(part, depth + 1)? {
                    Letter::Items(more) => items.extend(more),
                    Letter::Nothing => {}
                    Letter::Confirm(_) => return Err("a confirmation among other messages".to_owned()),
                }
            }
            Ok(Letter::Items(items))
        }
        _ => Err("neither an item nor an envelope of SNS, EventBridge or CloudEvents".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_envelope_gives_its_items() {
        let item = json!({"type": "Feature", "id": "a"});
        let sns = json!({"Type": "Notification", "Message": item.to_string()});
        for body in [
            item.clone(),
            json!({"type": "FeatureCollection", "features": [item]}),
            sns.clone(),
            json!({"version": "0", "detail-type": "new", "source": "x", "detail": item}),
            json!({"version": "0", "detail-type": "new", "detail": sns}),
            json!({"specversion": "1.0", "type": "org.stac.item", "id": "1", "source": "/x", "data": item}),
            json!([{"specversion": "1.0", "type": "t", "data": item.to_string()}]),
        ] {
            assert_eq!(open(&body), Ok(Letter::Items(vec![item.clone()])), "{body}");
        }
        let confirmation = json!({"Type": "SubscriptionConfirmation", "SubscribeURL": "https://sns/confirm"});
        assert_eq!(open(&confirmation), Ok(Letter::Confirm("https://sns/confirm".into())));
        assert_eq!(open(&json!({"Type": "UnsubscribeConfirmation"})), Ok(Letter::Nothing));
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        let mut deep = json!({"type": "Feature"});
        for _ in 0..DEEPEST + 1 {
            deep = json!({"detail-type": "x", "detail": deep});
        }
        for (body, words) in [
            (json!({}), "neither an item"),
            (json!(5), "neither an item"),
            (json!({"type": "FeatureCollection"}), "without `features`"),
            (json!({"Type": "Notification"}), "without `Message`"),
            (json!({"Type": "Notification", "Message": "{"}), "no JSON"),
            (json!({"specversion": "1.0", "data_base64": "e30="}), "not read"),
            (deep, "envelopes"),
        ] {
            let error = open(&body).unwrap_err();
            assert!(error.contains(words), "{body}: {error}");
        }
    }
}
