//! Slurm's short form of lists of hosts: `node[01-03,7],login2`, `r[1-2]n[0-1]`.

/// Most hosts that a list is expanded to.
const MOST: usize = 65_536;

/// The hosts of a list in its order; `None` where it is not of that form, or names more than 65536.
pub fn expand(list: &str) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for part in parts(list)? {
        hosts.extend(one(part)?);
        if hosts.len() > MOST {
            return None;
        }
    }
    (!hosts.is_empty()).then_some(hosts)
}

/// Splits at commas outside of brackets.
fn parts(list: &str) -> Option<Vec<&str>> {
    let (mut parts, mut from, mut inside) = (Vec::new(), 0, false);
    for (at, character) in list.char_indices() {
        match character {
            '[' if inside => return None,
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            ',' if !inside => {
                parts.push(list[from..at].trim());
                from = at + 1;
            }
            _ => {}
        }
    }
    parts.push(list[from..].trim());
    (!inside && parts.iter().all(|part| !part.is_empty())).then_some(parts)
}

/// The hosts of one part: every bracket is a list of numbers and ranges, the last one turns fastest.
fn one(part: &str) -> Option<Vec<String>> {
    let Some((before, rest)) = part.split_once('[') else { return Some(vec![part.to_owned()]) };
    let (ranges, after) = rest.split_once(']')?;
    let ends = if after.is_empty() { vec![String::new()] } else { one(after)? };
    let mut hosts = Vec::new();
    for range in ranges.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok())?;
        let (low, high) = (number(first)?, number(last)?);
        if low > high || (high - low + 1).saturating_mul(ends.len()) > MOST {
            return None;
        }
        // Leading zeros say how wide the number is.
        let width = first.len();
        for number in low..=high {
            hosts.extend(ends.iter().map(|end| format!("{before}{number:0width$}{end}")));
        }
    }
    Some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_come_in_the_order_of_slurm() {
        for (list, hosts) in [
            ("node1", "node1"),
            ("node[1-3]", "node1 node2 node3"),
            ("node[01-03,07],login", "node01 node02 node03 node07 login"),
            ("a1,b[9-11]", "a1 b9 b10 b11"),
            ("r[1-2]n[0-1]", "r1n0 r1n1 r2n0 r2n1"),
            ("gpu-[001-002].cluster", "gpu-001.cluster gpu-002.cluster"),
        ] {
            assert_eq!(expand(list).unwrap().join(" "), hosts, "{list}");
        }
    }

    #[test]
    fn what_is_no_list_is_none() {
        for list in
            ["", "node[1-", "node]1[", "node[3-1]", "node[a-b]", "node[1-99999999]", "a,,b", "n[]", "n[-1]", "n[[1]]"]
        {
            assert_eq!(expand(list), None, "{list}");
        }
    }
}
