//! Edges: which node reads which, through which port, and in what order that can be done.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    document::{FromDecl, NodeDecl, Reader},
    node_type::{NodeType, NodeTypes, PortType},
    resolved::Edge,
    suggest,
};

/// Binds every `from` to nodes and ports; gives the edges of each node by its name.
pub(super) fn link(nodes: &[NodeDecl], types: &NodeTypes, reader: &mut Reader<'_>) -> BTreeMap<String, Vec<Edge>> {
    let edges = |node: &NodeDecl, reader: &mut Reader<'_>| {
        known_type(node, types, reader);
        let mut edges: Vec<Edge> = Vec::new();
        for from in &node.from {
            let port = port(node, from, types, reader);
            let known = source(node, from, nodes, reader);
            let (Some(port), true) = (port, known) else { continue };
            if let Some(port_type) = types.get(&node.uses).and_then(|kind| kind.inputs.iter().find(|p| p.name == port))
            {
                fits(node, from, (port_type, nodes, types), reader);
            }
            edges.push(Edge { port, from: from.node.clone() });
        }
        if let Some(kind) = types.get(&node.uses) {
            missing(node, kind, &edges, reader);
            let rank = |edge: &Edge| kind.inputs.iter().position(|port| port.name == edge.port);
            edges.sort_by_key(rank);
        }
        edges
    };
    nodes.iter().map(|node| (node.name.name.clone(), edges(node, reader))).collect()
}

fn known_type(node: &NodeDecl, types: &NodeTypes, reader: &mut Reader<'_>) {
    if node.uses.is_empty() || types.get(&node.uses).is_some() {
        return;
    }
    let hint = suggest::did_you_mean(&node.uses, types.names());
    let hint = hint.unwrap_or_else(|| {
        if types.is_empty() {
            "no plugin was found: `skysense doctor` says where they are looked for".to_owned()
        } else {
            "`skysense nodes` lists all, `skysense doctor` the plugins that did not load".to_owned()
        }
    });
    reader
        .note("unknown-node-type", format!("there is no node type `{}`", node.uses), node.uses_span)
        .with(|fault| fault.node(&node.name.name).expected(suggest::listed(types.names())).hint(hint))
        .push(reader);
}

/// The port an edge ends at. Where the type is not known, the short form means a port `in`.
fn port(node: &NodeDecl, from: &FromDecl, types: &NodeTypes, reader: &mut Reader<'_>) -> Option<String> {
    let Some(kind) = types.get(&node.uses) else {
        return Some(from.port.as_ref().map_or_else(|| "in".to_owned(), |port| port.name.clone()));
    };
    let names = || kind.inputs.iter().map(|port| port.name.as_str());
    let noted = match (&from.port, kind.inputs.first()) {
        (None, Some(first)) => return Some(first.name.clone()),
        (Some(port), Some(_)) if names().any(|name| name == port.name) => return Some(port.name.clone()),
        (port, None) => {
            let span = port.as_ref().map_or(from.span, |port| port.span);
            reader
                .note("unknown-port", format!("`{}` reads no other node", kind.name), span)
                .with(|fault| fault.hint("drop `from`"))
        }
        (Some(port), Some(_)) => reader
            .note("unknown-port", format!("`{}` has no port `{}`", kind.name, port.name), port.span)
            .with(|fault| fault.expected(suggest::listed(names())).hint_if(suggest::did_you_mean(&port.name, names()))),
    };
    noted.with(|fault| fault.node(&node.name.name)).push(reader);
    None
}

/// Whether the node that an edge names is there.
fn source(node: &NodeDecl, from: &FromDecl, nodes: &[NodeDecl], reader: &mut Reader<'_>) -> bool {
    let names = || nodes.iter().map(|node| node.name.name.as_str());
    if names().any(|name| name == from.node) {
        return true;
    }
    let others = || names().filter(|name| *name != node.name.name);
    reader
        .note("unknown-node", format!("there is no node `{}`", from.node), from.span)
        .with(|fault| {
            let fault = fault.node(&node.name.name).expected(suggest::listed(others()));
            fault.hint_if(suggest::did_you_mean(&from.node, others()))
        })
        .push(reader);
    false
}

/// Whether the node that is read gives a kind of edge that the port takes.
fn fits(
    node: &NodeDecl,
    from: &FromDecl,
    (port, nodes, types): (&PortType, &[NodeDecl], &NodeTypes),
    reader: &mut Reader<'_>,
) {
    let read = nodes.iter().find(|other| other.name.name == from.node);
    let Some(read) = read.and_then(|read| types.get(&read.uses)) else { return };
    if port.takes(&read.output) {
        return;
    }
    // The commonest slip is to leave out the node between: name one that would bridge the gap.
    let bridge = types.iter().find(|kind| {
        port.takes(&kind.output)
            && kind.inputs.first().is_some_and(|first| !first.kinds.is_empty() && first.takes(&read.output))
    });
    let hint = bridge.map(|kind| format!("put a node between them that uses `{}`", kind.name));
    reader
        .note(
            "edge-kind",
            format!("`{}` does not give what port `{}` of `{}` takes", from.node, port.name, node.uses),
            from.span,
        )
        .with(|fault| {
            let fault = fault.node(&node.name.name).found(format!("`{}`, from `{}`", read.output, read.name));
            fault.expected(suggest::listed(port.kinds.iter().map(String::as_str))).hint_if(hint)
        })
        .push(reader);
}

/// Notes ports that are filled twice, or not at all although they must be.
fn missing(node: &NodeDecl, kind: &NodeType, edges: &[Edge], reader: &mut Reader<'_>) {
    // An edge that failed was noted already, and a second fault about its port would only repeat it.
    let broken = edges.len() < node.from.len();
    for port in kind.inputs.iter().filter(|port| !port.optional && !broken) {
        if edges.iter().all(|edge| edge.port != port.name) {
            let kinds = if port.kinds.is_empty() {
                "any node".to_owned()
            } else {
                suggest::listed(port.kinds.iter().map(String::as_str))
            };
            reader
                .note(
                    "missing-port",
                    format!("`{}` needs an edge into port `{}`", kind.name, port.name),
                    node.name.span,
                )
                .with(|fault| {
                    let long = kind.inputs.len() > 1;
                    let form =
                        if long { format!("`from: {{{}: <node>}}`", port.name) } else { "`from: <node>`".to_owned() };
                    fault.node(&node.name.name).expected(format!("{form}, a node that gives {kinds}"))
                })
                .push(reader);
        }
    }
}

/// Node positions in an order in which each stands behind what it reads; notes a cycle, whose nodes are
/// left out.
pub(super) fn order(nodes: &[NodeDecl], edges: &BTreeMap<String, Vec<Edge>>, reader: &mut Reader<'_>) -> Vec<usize> {
    let inputs = |at: usize| edges.get(&nodes[at].name.name).map(Vec::as_slice).unwrap_or_default();
    let mut readers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for at in 0..nodes.len() {
        inputs(at).iter().for_each(|edge| readers.entry(&edge.from).or_default().push(at));
    }
    let mut waiting: Vec<usize> = (0..nodes.len()).map(|at| inputs(at).len()).collect();
    let mut ready: BTreeSet<usize> = (0..nodes.len()).filter(|&at| waiting[at] == 0).collect();
    let mut ordered = Vec::new();
    // Always the first that is ready, so that ties keep the order of the file.
    while let Some(at) = ready.pop_first() {
        ordered.push(at);
        for reader in readers.remove(nodes[at].name.name.as_str()).unwrap_or_default() {
            waiting[reader] -= 1;
            if waiting[reader] == 0 {
                ready.insert(reader);
            }
        }
    }
    if ordered.len() < nodes.len() {
        let done = ordered.iter().map(|&at| nodes[at].name.name.as_str()).collect();
        cycle(nodes, edges, &done, reader);
    }
    ordered
}

fn cycle(nodes: &[NodeDecl], edges: &BTreeMap<String, Vec<Edge>>, done: &BTreeSet<&str>, reader: &mut Reader<'_>) {
    let Some(start) = nodes.iter().find(|node| !done.contains(node.name.name.as_str())) else { return };
    // Among nodes that never get ready each reads another such node, so walking on must come round.
    let mut path: Vec<&str> = vec![&start.name.name];
    let round = loop {
        let last = path.last().copied().unwrap_or_default();
        let inputs = edges.get(last).map(Vec::as_slice).unwrap_or_default();
        let Some(next) = inputs.iter().map(|edge| edge.from.as_str()).find(|name| !done.contains(name)) else { return };
        if let Some(at) = path.iter().position(|name| *name == next) {
            path.push(next);
            break path.split_off(at);
        }
        path.push(next);
    };
    let Some(node) = nodes.iter().find(|node| node.name.name == round[0]) else { return };
    let span = node.from.first().map_or(node.name.span, |from| from.span);
    reader
        .note("cycle", "these nodes read each other in a circle", span)
        .with(|fault| {
            let fault = fault.node(&node.name.name).found(round.join(" ← "));
            fault.hint("take one of the edges out: data flows one way only")
        })
        .push(reader);
}
