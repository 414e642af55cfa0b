//! A plan for people.

use std::fmt::{self, Display, Write};

use arrow::array::RecordBatch;
use skysense_abi::Cost;

use super::{Plan, PlannedNode};

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
    let columns: Vec<_> = node.plan.schema.fields().iter().map(|field| field.name().as_str()).collect();
    writeln!(f, ": {}", columns.join(", "))?;
    if let Some(facts) = node.plan.facts.as_object() {
        for (name, value) in facts {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            let short: String = text.chars().take(100).collect();
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
    fn amounts_are_readable() {
        assert_eq!(bytes(1023.0), "1023 B");
        assert_eq!(bytes(1536.0), "1.5 KiB");
        assert_eq!(bytes(3.0 * 1024f64.powi(4)), "3.0 TiB");
        assert_eq!(amount(&Cost { name: "t".into(), value: 1.255, unit: "seconds".into() }), "1.25 seconds");
    }
}
