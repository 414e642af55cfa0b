//! CQL2 JSON.

use serde_json::{Value, json};

use super::{DEEPEST, Operand, Operator, Test, moment};
use crate::decode::short;
use crate::parse_datetime;

type Read<T> = std::result::Result<T, String>;

pub(super) fn read(value: &Value, depth: usize) -> Read<Test> {
    if depth > DEEPEST {
        return Err(format!("nests more than {DEEPEST} deep"));
    }
    let op = value.get("op").and_then(Value::as_str);
    let args = value.get("args").and_then(Value::as_array);
    let (Some(op), Some(args)) = (op, args) else {
        return Err(format!("`{}` is no condition, expected `{{op: …, args: […]}}`", short(value)));
    };
    let count = |wanted: usize| match args.len() == wanted {
        true => Ok(()),
        false => Err(format!("`{op}` has {} arguments, expected {wanted}", args.len())),
    };
    let tests = || args.iter().map(|arg| read(arg, depth + 1)).collect::<Read<Vec<_>>>();
    if let Some(operator) = Operator::ALL.into_iter().find(|operator| operator.sign() == op) {
        count(2)?;
        return Ok(Test::Compare(operator, operand(&args[0])?, operand(&args[1])?));
    }
    match op {
        "and" | "or" if args.is_empty() => Err(format!("`{op}` has no arguments")),
        "and" => tests().map(Test::And),
        "or" => tests().map(Test::Or),
        "not" => {
            count(1)?;
            read(&args[0], depth + 1).map(|test| Test::Not(Box::new(test)))
        }
        "like" => {
            count(2)?;
            let pattern = args[1]
                .as_str()
                .ok_or_else(|| format!("`like` has the pattern {}, expected a text", short(&args[1])))?;
            Ok(Test::Like(operand(&args[0])?, pattern.to_owned()))
        }
        "between" => {
            count(3)?;
            Ok(Test::Between(operand(&args[0])?, operand(&args[1])?, operand(&args[2])?))
        }
        "in" => {
            count(2)?;
            let list = args[1].as_array().filter(|list| !list.is_empty());
            let list = list.ok_or_else(|| format!("`in` has {}, expected a list of values", short(&args[1])))?;
            Ok(Test::In(operand(&args[0])?, list.iter().map(operand).collect::<Read<_>>()?))
        }
        "isNull" => {
            count(1)?;
            operand(&args[0]).map(Test::IsNull)
        }
        _ => Err(format!(
            "`{op:.40}` is not understood; expected and, or, not, =, <>, <, <=, >, >=, like, between, in or isNull"
        )),
    }
}

fn operand(value: &Value) -> Read<Operand> {
    let moment = |text: &str| {
        parse_datetime(text).map(Operand::Moment).ok_or_else(|| format!("`{text:.60}` is no date or RFC 3339 time"))
    };
    let field = |name: &str| value.get(name).and_then(Value::as_str);
    match value {
        Value::Number(number) => number.as_f64().map(Operand::Number).ok_or_else(|| format!("{number} is too large")),
        Value::String(text) => Ok(Operand::Text(text.clone())),
        Value::Bool(truth) => Ok(Operand::Truth(*truth)),
        _ => match (field("property"), field("timestamp").or_else(|| field("date"))) {
            (Some(name), _) => Ok(Operand::Property(name.to_owned())),
            (None, Some(text)) => moment(text),
            (None, None) => {
                Err(format!("`{}` is no value, expected a property, number, text, true or false", short(value)))
            }
        },
    }
}

pub(super) fn write(test: &Test) -> Value {
    let all = |tests: &[Test]| tests.iter().map(write).collect::<Vec<_>>();
    let (op, args) = match test {
        Test::And(tests) => ("and", all(tests)),
        Test::Or(tests) => ("or", all(tests)),
        Test::Not(test) => ("not", vec![write(test)]),
        Test::Compare(operator, left, right) => (operator.sign(), vec![value(left), value(right)]),
        Test::Like(operand, pattern) => ("like", vec![value(operand), json!(pattern)]),
        Test::Between(operand, low, high) => ("between", vec![value(operand), value(low), value(high)]),
        Test::In(operand, list) => ("in", vec![value(operand), list.iter().map(value).collect()]),
        Test::IsNull(operand) => ("isNull", vec![value(operand)]),
    };
    json!({"op": op, "args": args})
}

fn value(operand: &Operand) -> Value {
    match operand {
        Operand::Property(name) => json!({"property": name}),
        Operand::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => json!(*number as i64),
        Operand::Number(number) => json!(number),
        Operand::Text(text) => json!(text),
        Operand::Truth(truth) => json!(truth),
        Operand::Moment(at) => json!({"timestamp": moment(*at)}),
    }
}
