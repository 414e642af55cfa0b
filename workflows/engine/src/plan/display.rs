//! A plan for people.

use std::fmt::{self, Display, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use skysense_abi::Cost;

use super::{Plan, PlannedNode};

/// Most characters of a fact that are shown; `--json` gives all.
const MOST_OF_FACT: usize = 160;

impl Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "workflow {} ({})", self.workflow.name, self.workflow.sha256.get(..12).unwrap_or_default())?;
        for node in &self.nodes {
            f.write_char('\n')?;
            write_node(f, node)?;
        }
        if !self.costs.is_empty() {
            f.write_str("\ncosts\n")?;
            for cost in &self.costs {
                writeln!(f, "  {}: {}", cost.name, amount(cost))?;
            }
        }
        let memory = &self.memory;
        writeln!(
            f,
            "\nmemory\n  least {}, budget {}{}\n  fixed {}, queues up to {} more batches, leases up to {}",
            bytes(memory.least as f64),
            bytes(memory.budget as f64),
            if memory.explicit { "" } else { " (of this machine; set a limit with --memory)" },
            bytes(memory.fixed as f64),
            memory.extra_batches,
            bytes(memory.leases as f64),
        )?;
        for kind in ["decision", "skipped"] {
            let records: Vec<_> = self.records.iter().filter(|r| r.kind == kind).collect();
            if !records.is_empty() {
                writeln!(f, "\n{kind} ({})", records.len())?;
            }
            for record in records {
                writeln!(f, "  {}: {}", record.node, record.sentence())?;
            }
        }
        Ok(())
    }
}

fn write_node(f: &mut fmt::Formatter<'_>, node: &PlannedNode) -> fmt::Result {
    write!(f, "{}: {}", node.name, node.uses)?;
    if !node.inputs.is_empty() {
        let inputs: Vec<_> = node.inputs.iter().map(|e| format!("{} <- {}", e.port, e.from)).collect();
        write!(f, " ({})", inputs.join(", "))?;
    }
    write!(f, "\n  gives {}", node.output)?;
    if let Some(rows) = &node.plan.rows {
        write!(f, ", {} rows", rows.iter().map(RecordBatch::num_rows).sum::<usize>())?;
    }
    writeln!(f)?;
    for field in node.plan.schema.fields() {
        writeln!(
            f,
            "    {}: {}{}",
            field.name(),
            words(field.data_type()),
            if field.is_nullable() { "?" } else { "" }
        )?;
    }
    if let Some(facts) = node.plan.facts.as_object() {
        for (name, value) in facts {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let short: String = text.chars().take(MOST_OF_FACT).collect();
            let more = if short.len() < text.len() { "…" } else { "" };
            writeln!(f, "  {name}: {short}{more}")?;
        }
    }
    for cost in &node.plan.costs {
        writeln!(f, "  {}: {}", cost.name, amount(cost))?;
    }
    let memory = node.plan.memory;
    let (working, batch) = (memory.working_bytes as f64, memory.batch_bytes as f64);
    writeln!(f, "  memory: {} working, {} a batch", bytes(working), bytes(batch))
}

/// A type as people write it: `[f32; 4096]`, `[{at: text, ..}]`.
fn words(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "bytes".into(),
        DataType::Boolean => "bool".into(),
        DataType::Timestamp(..) => "datetime".into(),
        DataType::List(field) | DataType::LargeList(field) => format!("[{}]", words(field.data_type())),
        DataType::FixedSizeList(field, count) => format!("[{}; {count}]", words(field.data_type())),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{}: {}", field.name(), words(field.data_type())));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Dictionary(_, values) => words(values),
        number if number.is_primitive() => {
            let name = number.to_string();
            let short = [("UInt", "u"), ("Int", "i"), ("Float", "f")];
            let short = short.iter().find_map(|(long, short)| Some(format!("{short}{}", name.strip_prefix(long)?)));
            short.unwrap_or_else(|| name.to_lowercase())
        }
        other => other.to_string().to_lowercase(),
    }
}

fn amount(cost: &Cost) -> String {
    match cost.unit.as_str() {
        "bytes" | "byte" | "B" => bytes(cost.value),
        "" => number(cost.value),
        unit => format!("{} {unit}", number(cost.value)),
    }
}

fn number(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_readable() {
        let field = |name: &str, of: DataType| std::sync::Arc::new(arrow::datatypes::Field::new(name, of, true));
        for (of, expected) in [
            (DataType::Int16, "i16"),
            (DataType::UInt8, "u8"),
            (DataType::Float32, "f32"),
            (DataType::Date32, "date32"),
            (DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None), "datetime"),
            (DataType::FixedSizeList(field("item", DataType::Float32), 9), "[f32; 9]"),
            (DataType::List(field("item", DataType::Struct([field("at", DataType::Utf8)].into()))), "[{at: text}]"),
        ] {
            assert_eq!(words(&of), expected);
        }
    }

    #[test]
    fn amounts_are_readable() {
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(3.0 * 1024f64.powi(4)), "3.0 TiB");
        assert_eq!(amount(&Cost { name: "t".into(), value: 1.255, unit: "seconds".into() }), "1.25 seconds");
    }
}
