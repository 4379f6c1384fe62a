//! Dependencies between the named things of an output.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};

/// Who depends on whom, by name. Names that nobody has are left out.
pub(super) struct Dependencies<'a> {
    graph: DiGraph<&'a str, ()>,
    nodes: BTreeMap<&'a str, NodeIndex>,
}

impl<'a> Dependencies<'a> {
    pub fn of(items: impl Iterator<Item = (&'a str, &'a [String])> + Clone) -> Self {
        let mut graph = DiGraph::new();
        let mut nodes = BTreeMap::new();
        for (name, _) in items.clone() {
            nodes.entry(name).or_insert_with(|| graph.add_node(name));
        }
        for (name, depends_on) in items {
            for target in depends_on.iter().filter_map(|target| nodes.get(target.as_str())) {
                graph.update_edge(nodes[name], *target, ());
            }
        }
        Self { graph, nodes }
    }

    /// Each knot of cyclic dependencies, as one whole cycle in the order of the dependencies, its
    /// first name repeated at the end. One that depends on itself is a cycle too.
    pub fn cycles(&self) -> Vec<Vec<&'a str>> {
        let mut cycles: Vec<_> =
            tarjan_scc(&self.graph).iter().filter_map(|knot| self.cycle_in(knot)).collect();
        cycles.sort_unstable();
        cycles
    }

    /// Walks inside the knot from its first name until a name comes again.
    fn cycle_in(&self, knot: &[NodeIndex]) -> Option<Vec<&'a str>> {
        let inside: BTreeSet<NodeIndex> = knot.iter().copied().collect();
        let start = *knot.iter().min_by_key(|node| self.graph[**node])?;
        let mut walked = vec![start];
        let mut places = BTreeMap::from([(start, 0)]);
        loop {
            let last = *walked.last()?;
            let next = self.graph.neighbors(last).filter(|node| inside.contains(node));
            let next = next.min_by_key(|node| self.graph[*node])?;
            if let Some(at) = places.get(&next) {
                let names = walked[*at..].iter().chain([&next]);
                return Some(names.map(|node| self.graph[*node]).collect());
            }
            places.insert(next, walked.len());
            walked.push(next);
        }
    }

    /// All that `name` depends on, directly or through others.
    pub fn ancestors(&self, name: &str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<NodeIndex> = self.nodes.get(name).copied().into_iter().collect();
        while let Some(node) = open.pop() {
            for next in self.graph.neighbors(node) {
                if found.insert(self.graph[next]) {
                    open.push(next);
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(edges: &[(&str, &[&str])]) -> Vec<String> {
        let owned: Vec<(&str, Vec<String>)> = edges
            .iter()
            .map(|(name, on)| (*name, on.iter().map(|t| (*t).to_owned()).collect()))
            .collect();
        let graph = Dependencies::of(owned.iter().map(|(name, on)| (*name, on.as_slice())));
        graph.cycles().iter().map(|cycle| cycle.join(" → ")).collect()
    }

    #[test]
    fn the_whole_cycle_is_named() {
        assert_eq!(
            cycles(&[("a", &["b"]), ("b", &["c"]), ("c", &["a", "d"]), ("d", &[])]),
            ["a → b → c → a"]
        );
        assert_eq!(cycles(&[("a", &["a"]), ("b", &["a"])]), ["a → a"]);
        assert_eq!(cycles(&[("a", &["b"]), ("b", &["a"]), ("c", &["d"]), ("d", &["c"])]).len(), 2);
    }

    #[test]
    fn a_diamond_and_a_dangling_name_are_no_cycle() {
        let edges: &[(&str, &[&str])] =
            &[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d", "x"]), ("d", &[])];
        assert!(cycles(edges).is_empty());
    }

    #[test]
    fn ancestors_are_followed_through() {
        let on = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let items = [("a", on(&["b"])), ("b", on(&["c"])), ("c", on(&[])), ("d", on(&[]))];
        let graph = Dependencies::of(items.iter().map(|(name, on)| (*name, on.as_slice())));
        assert_eq!(graph.ancestors("a"), BTreeSet::from(["b", "c"]));
        assert!(graph.ancestors("d").is_empty());
    }
}
