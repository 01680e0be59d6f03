//! Takes one element per row before arithmetic instead of after it: the same element, from far
//! fewer lanes.

use crate::ir::{Element, Graph, Node, Op, Value};

/// The graph with every [`Op::TakeLast`] of an elementwise result as that arithmetic on elements
/// taken of its operands, and without what no output needs.
pub(crate) fn narrow(graph: &Graph) -> Graph {
    let mut out = Graph::new(graph.operand_bits());
    let mut map: Vec<Value> = vec![];
    for (_, node) in graph.nodes() {
        let inputs: Vec<Value> = node.inputs.iter().map(|v| map[v.index()]).collect();
        let value = match &node.op {
            Op::TakeLast => take(&mut out, inputs[0], inputs[1]),
            op => out.push(op.clone(), inputs, node.shape.clone(), node.element),
        };
        map.push(value);
    }
    for (name, value) in graph.outputs() {
        out.output(name.clone(), map[value.index()]);
    }
    live(&out)
}

/// The graph without what no output needs; its inputs stay.
fn live(graph: &Graph) -> Graph {
    let mut needed = vec![false; graph.nodes().count()];
    for (_, value) in graph.outputs() {
        needed[value.index()] = true;
    }
    for (value, node) in graph.nodes().rev() {
        if needed[value.index()] || matches!(node.op, Op::Input(_)) {
            needed[value.index()] = true;
            node.inputs.iter().for_each(|input| needed[input.index()] = true);
        }
    }
    let mut out = Graph::new(graph.operand_bits());
    let mut map: Vec<Option<Value>> = vec![];
    for (value, node) in graph.nodes() {
        map.push(needed[value.index()].then(|| {
            let inputs = node.inputs.iter().filter_map(|input| map[input.index()]).collect();
            out.push(node.op.clone(), inputs, node.shape.clone(), node.element)
        }));
    }
    for (name, value) in graph.outputs() {
        if let Some(value) = map[value.index()] {
            out.output(name.clone(), value);
        }
    }
    out
}

fn take(g: &mut Graph, x: Value, ids: Value) -> Value {
    let Node { op, inputs, shape, element } = g.node(x).clone();
    let arithmetic = matches!(op, Op::Add | Op::Sub | Op::Mul | Op::Div | Op::Max);
    let fits = |input: &Value| {
        let of = g.shape(*input);
        of == shape || of == g.shape(ids) || of == [1]
    };
    if !arithmetic || element != Element::F32 || !inputs.iter().all(fits) {
        return g.take_last(x, ids);
    }
    let taken: Vec<Value> = inputs
        .into_iter()
        .map(|input| if g.shape(input) == shape { take(g, input, ids) } else { input })
        .collect();
    let shape = g.shape(ids).to_vec();
    g.push(op, taken, shape, element)
}
