//! Which elementwise operators run together.
//!
//! Every elementwise node gets a level: how many results must be in memory, one after the other,
//! before it can run. Nodes of one level and one number of lanes never wait for each other through
//! memory, so any of them may share a program; those that share an operand do. A node that is only
//! needed at a later level moves there, if its results would not have to be in memory before.

use super::program::{Binary, Instruction, Program, Source, Unary, View};
use super::view::Place;
use crate::composite;
use crate::ir::{Element, Graph, Node, Op, Value, count};
use std::collections::{BTreeMap, BTreeSet};

/// A step of a fused graph.
#[derive(Debug)]
pub(crate) enum Step {
    /// An elementwise program: what it loads, and what it stores.
    Elementwise {
        /// Lanes, code and constants.
        program: Program,
        /// Its inputs.
        inputs: Vec<Value>,
        /// Its outputs.
        outputs: Vec<Value>,
    },
    /// One node as it is.
    Node(Value),
}

/// A graph's steps in an order in which they can run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    /// For every value, the value that holds the same elements in the same order in memory.
    memory: Vec<Value>,
}

impl Plan {
    /// The value in memory that holds the elements of `value`, perhaps in another shape.
    pub(crate) fn memory(&self, value: Value) -> Value {
        self.memory[value.index()]
    }
}

/// Plans an expanded graph.
pub(crate) fn plan(graph: &Graph) -> Plan {
    let mut planner = Planner::new(graph);
    for (value, node) in graph.nodes() {
        planner.visit(value, node);
    }
    for (_, value) in graph.outputs() {
        planner.store(*value);
    }
    planner.sink();
    planner.finish()
}

/// How a node is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Given: an input or a constant.
    Leaf,
    /// By a lane program.
    Lanes,
    /// The elements of its operand in the same order.
    Alias,
    /// The elements of its operand in another order: read through a view.
    View,
    /// By itself.
    Whole,
    /// Not at all: its only user does without.
    Skipped,
}

struct Planner<'g> {
    graph: &'g Graph,
    kind: Vec<Kind>,
    level: Vec<usize>,
    place: Vec<Option<Place>>,
    /// Values of kind `Lanes` or `View` that must be in memory.
    stored: BTreeSet<Value>,
    /// Lane programs that use each value in place: same lanes, no view.
    users: Vec<Vec<Value>>,
    /// Results of `ToIndex` that something but a power of two needs.
    indices: BTreeSet<Value>,
}

impl<'g> Planner<'g> {
    fn new(graph: &'g Graph) -> Self {
        let size = graph.nodes().count();
        let plain = graph.nodes().filter(|(_, node)| power_of_two(graph, node).is_none());
        let outputs = graph.outputs().iter().map(|(_, value)| *value);
        Self {
            graph,
            kind: Vec::with_capacity(size),
            level: Vec::with_capacity(size),
            place: Vec::with_capacity(size),
            stored: BTreeSet::new(),
            users: vec![vec![]; size],
            indices: plain.flat_map(|(_, node)| node.inputs.clone()).chain(outputs).collect(),
        }
    }

    fn classify(&self, value: Value, node: &Node) -> Kind {
        match &node.op {
            Op::Input(_) | Op::Constant(_) | Op::Indices(_) => Kind::Leaf,
            Op::Reshape => Kind::Alias,
            Op::Transpose(_) | Op::Expand | Op::PermuteLast(_) if node.element != Element::I64 => {
                Kind::View
            }
            Op::ToIndex if !self.indices.contains(&value) => Kind::Skipped,
            _ if lane_code(self.graph, node).is_some() => Kind::Lanes,
            _ => Kind::Whole,
        }
    }

    fn kind(&self, value: Value) -> Kind {
        self.kind[value.index()]
    }

    /// Through aliases to the value itself.
    fn origin(&self, mut value: Value) -> Value {
        while self.kind(value) == Kind::Alias {
            value = self.graph.node(value).inputs[0];
        }
        value
    }

    /// The level from which on `value` can be read from memory; it is put there.
    fn store(&mut self, value: Value) -> usize {
        let value = self.origin(value);
        match self.kind(value) {
            Kind::Lanes | Kind::View => {
                self.stored.insert(value);
                self.level[value.index()] + 1
            }
            _ => self.level[value.index()],
        }
    }

    /// Where to read `value` from memory.
    fn place_of(&self, value: Value) -> Place {
        let value = self.origin(value);
        let place = self.place[value.index()].clone();
        place.unwrap_or_else(|| Place::whole(value, count(self.graph.shape(value))))
    }

    fn visit(&mut self, value: Value, node: &Node) {
        let kind = self.classify(value, node);
        self.kind.push(kind);
        self.place.push(None);
        self.level.push(0);
        let level = match kind {
            Kind::Leaf | Kind::Skipped => 0,
            Kind::Alias => self.level[node.inputs[0].index()],
            Kind::View => {
                let place = self.viewed(node);
                let level = self.store(place.base);
                self.place[value.index()] = Some(place);
                level
            }
            Kind::Lanes => {
                let operands = lane_operands(self.graph, node);
                operands.into_iter().map(|x| self.lane_operand(value, x)).max().unwrap_or(0)
            }
            Kind::Whole => node.inputs.iter().map(|x| self.store(*x)).max().unwrap_or(0),
        };
        self.level[value.index()] = level;
    }

    /// The view that a moving node is, of its operand's place or, where that cannot be, of its
    /// operand put into memory.
    fn viewed(&mut self, node: &Node) -> Place {
        let input = self.origin(node.inputs[0]);
        let shape = self.graph.shape(node.inputs[0]);
        let view = |place: &Place| match &node.op {
            Op::Transpose(perm) => place.transpose(shape, perm),
            Op::Expand => place.expand(shape, &node.shape),
            Op::PermuteLast(order) => place.permute_last(shape, order),
            other => panic!("{other:?} is no view"),
        };
        if let Some(place) = view(&self.place_of(input)) {
            return place;
        }
        let whole = Place::whole(input, count(shape));
        view(&whole).unwrap_or_else(|| panic!("no view of a whole tensor is {:?}", node.op))
    }

    /// The level that operand `x` lets `user` run at.
    fn lane_operand(&mut self, user: Value, x: Value) -> usize {
        let origin = self.origin(x);
        let same_lanes = count(self.graph.shape(x)) == count(self.graph.shape(user));
        if self.kind(origin) == Kind::Lanes && same_lanes {
            self.users[origin.index()].push(user);
            return self.level[origin.index()];
        }
        let base = self.operand_place(user, x).base;
        self.store(base)
    }

    /// How the lanes of `user` read its operand `x` from memory.
    fn operand_place(&self, user: Value, x: Value) -> Place {
        let (shape, to) = (self.graph.shape(x), self.graph.shape(user));
        let expanded = self.place_of(x).expand(shape, to);
        expanded.unwrap_or_else(|| {
            let whole = Place::whole(self.origin(x), count(shape)).expand(shape, to);
            whole.unwrap_or_else(|| panic!("{shape:?} does not expand to {to:?}"))
        })
    }

    /// Moves nodes that only later levels need to the first of these.
    fn sink(&mut self) {
        for index in (0..self.kind.len()).rev() {
            let users = &self.users[index];
            let value = Value::from_index(index);
            let first = users.iter().map(|user| self.level[user.index()]).min();
            if let Some(first) = first
                && self.kind[index] == Kind::Lanes
                && !self.stored.contains(&value)
            {
                self.level[index] = first;
            }
        }
    }

    /// Whether a program of `level` has the lanes of `x` in a register: `x` is of that program.
    fn in_register(&self, x: Value, user: Value) -> bool {
        self.kind(x) == Kind::Lanes
            && self.level[x.index()] == self.level[user.index()]
            && count(self.graph.shape(x)) == count(self.graph.shape(user))
    }

    fn finish(mut self) -> Plan {
        // What a program takes from an earlier one is in memory.
        for index in 0..self.kind.len() {
            let value = Value::from_index(index);
            if self.users[index].iter().any(|user| !self.in_register(value, *user)) {
                self.stored.insert(value);
            }
        }
        let mut groups = Groups::new(self.kind.len());
        let mut first_reader: BTreeMap<(usize, usize, Place), Value> = BTreeMap::new();
        let lanes: Vec<Value> = self
            .graph
            .nodes()
            .map(|(value, _)| value)
            .filter(|value| self.is_program(*value))
            .collect();
        for user in &lanes {
            for x in self.operands(*user) {
                let origin = self.origin(x);
                if self.in_register(origin, *user) {
                    groups.join(origin.index(), user.index());
                    continue;
                }
                let place = self.operand_place(*user, x);
                let size = count(self.graph.shape(*user));
                if size > 1 && count(self.graph.shape(place.base)) == size {
                    let key = (self.level[user.index()], size, place);
                    let first = *first_reader.entry(key).or_insert(*user);
                    groups.join(first.index(), user.index());
                }
            }
        }
        let mut members: BTreeMap<usize, Vec<Value>> = BTreeMap::new();
        for value in lanes {
            members.entry(groups.root(value.index())).or_default().push(value);
        }
        let mut steps: Vec<((usize, bool, Value), Step)> = vec![];
        for (value, _) in self.graph.nodes() {
            if self.kind(value) == Kind::Whole {
                steps.push(((self.level[value.index()], false, value), Step::Node(value)));
            }
        }
        for values in members.into_values() {
            let key = (self.level[values[0].index()], true, values[0]);
            steps.push((key, Coder::new(&self).code(&values)));
        }
        steps.sort_by_key(|(key, _)| *key);
        let memory = self.graph.nodes().map(|(value, _)| self.origin(value)).collect();
        Plan { steps: steps.into_iter().map(|(_, step)| step).collect(), memory }
    }

    /// Whether `value` is computed by a lane program: arithmetic, or a view put into memory.
    fn is_program(&self, value: Value) -> bool {
        match self.kind(value) {
            Kind::Lanes => true,
            Kind::View => self.stored.contains(&value),
            _ => false,
        }
    }

    fn operands(&self, value: Value) -> Vec<Value> {
        if self.kind(value) == Kind::View {
            return vec![value];
        }
        lane_operands(self.graph, self.graph.node(value))
    }
}

/// The exponent that a gather takes a power of two for, where it is from the table of powers.
fn power_of_two(graph: &Graph, node: &Node) -> Option<Value> {
    let [table, index] = node.inputs[..] else { return None };
    let index = graph.node(index);
    let known = matches!(&graph.node(table).op, Op::Constant(bits) if composite::is_powers(bits));
    (node.op == Op::Gather && known && index.op == Op::ToIndex).then(|| index.inputs[0])
}

/// What a node does to each lane.
#[derive(Debug, Clone, Copy)]
enum LaneCode {
    Unary(Unary),
    Binary(Binary),
    Select,
}

fn lane_code(graph: &Graph, node: &Node) -> Option<LaneCode> {
    Some(match &node.op {
        Op::Add => LaneCode::Binary(Binary::Add),
        Op::Sub => LaneCode::Binary(Binary::Sub),
        Op::Mul => LaneCode::Binary(Binary::Mul),
        Op::Div => LaneCode::Binary(Binary::Div),
        Op::Max => LaneCode::Binary(Binary::Max),
        Op::Less => LaneCode::Binary(Binary::Less),
        Op::Equal => LaneCode::Binary(Binary::Equal),
        Op::Neg => LaneCode::Unary(Unary::Neg),
        Op::Abs => LaneCode::Unary(Unary::Abs),
        Op::Sqrt => LaneCode::Unary(Unary::Sqrt),
        Op::Floor => LaneCode::Unary(Unary::Floor),
        Op::Select => LaneCode::Select,
        Op::Gather if power_of_two(graph, node).is_some() => LaneCode::Unary(Unary::PowerOfTwo),
        _ => return None,
    })
}

fn lane_operands(graph: &Graph, node: &Node) -> Vec<Value> {
    power_of_two(graph, node).map_or_else(|| node.inputs.clone(), |exponent| vec![exponent])
}

/// Disjoint sets of node numbers.
struct Groups(Vec<usize>);

impl Groups {
    fn new(size: usize) -> Self {
        Self((0..size).collect())
    }

    fn root(&mut self, mut at: usize) -> usize {
        while self.0[at] != at {
            self.0[at] = self.0[self.0[at]];
            at = self.0[at];
        }
        at
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// Writes the program of one group.
struct Coder<'p, 'g> {
    planner: &'p Planner<'g>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    constants: Vec<u32>,
    code: Vec<Instruction>,
    /// Virtual registers: one per result.
    registers: BTreeMap<Value, u16>,
    loads: BTreeMap<(Place, Element), u16>,
    next: u16,
}

impl<'p, 'g> Coder<'p, 'g> {
    fn new(planner: &'p Planner<'g>) -> Self {
        Self {
            planner,
            inputs: vec![],
            outputs: vec![],
            constants: vec![],
            code: vec![],
            registers: BTreeMap::new(),
            loads: BTreeMap::new(),
            next: 0,
        }
    }

    fn code(mut self, values: &[Value]) -> Step {
        let graph = self.planner.graph;
        for value in values {
            let operands = self.planner.operands(*value);
            let sources: Vec<Source> = operands.iter().map(|x| self.source(*value, *x)).collect();
            let from = if self.planner.kind(*value) == Kind::View {
                sources[0]
            } else {
                self.compute(*value, &sources)
            };
            if self.planner.stored.contains(value) {
                let output = short(self.outputs.len());
                self.outputs.push(*value);
                self.code.push(Instruction::Store { output, from });
            }
        }
        let lanes = count(graph.shape(values[0]));
        let registers = allocate(&mut self.code, self.next);
        let program = Program { lanes, registers, constants: self.constants, code: self.code };
        Step::Elementwise { program, inputs: self.inputs, outputs: self.outputs }
    }

    fn compute(&mut self, value: Value, sources: &[Source]) -> Source {
        let graph = self.planner.graph;
        let to = self.register();
        self.registers.insert(value, to);
        self.code.push(match (lane_code(graph, graph.node(value)), sources) {
            (Some(LaneCode::Unary(op)), [a]) => Instruction::Unary { op, to, a: *a },
            (Some(LaneCode::Binary(op)), [a, b]) => Instruction::Binary { op, to, a: *a, b: *b },
            (Some(LaneCode::Select), [which, a, b]) => {
                Instruction::Select { to, which: *which, a: *a, b: *b }
            }
            _ => panic!("{:?} is no lane code", graph.node(value).op),
        });
        Source::Register(to)
    }

    fn register(&mut self) -> u16 {
        self.next = self.next.checked_add(1).unwrap_or_else(|| panic!("a program too long"));
        self.next - 1
    }

    fn source(&mut self, user: Value, x: Value) -> Source {
        let planner = self.planner;
        let origin = planner.origin(x);
        if planner.in_register(origin, user) {
            return Source::Register(self.registers[&origin]);
        }
        let place = planner.operand_place(user, x);
        let base = planner.graph.node(place.base);
        if let (Op::Constant(bits), 1) = (&base.op, count(&base.shape)) {
            let known = self.constants.iter().position(|c| *c == bits[0]);
            let index = known.unwrap_or(self.constants.len());
            if known.is_none() {
                self.constants.push(bits[0]);
            }
            return Source::Constant(short(index));
        }
        if count(&base.shape) == 1 {
            return Source::Scalar(self.input(place.base));
        }
        let key = (place, base.element);
        if let Some(register) = self.loads.get(&key) {
            return Source::Register(*register);
        }
        let (to, input) = (self.register(), self.input(key.0.base));
        let view: View = key.0.view.clone();
        self.code.push(Instruction::Load { to, input, view });
        self.loads.insert(key, to);
        Source::Register(to)
    }

    fn input(&mut self, base: Value) -> u16 {
        let known = self.inputs.iter().position(|input| *input == base);
        let index = known.unwrap_or(self.inputs.len());
        if known.is_none() {
            self.inputs.push(base);
        }
        short(index)
    }
}

fn short(index: usize) -> u16 {
    u16::try_from(index).unwrap_or_else(|_| panic!("a program too wide"))
}

/// Gives virtual registers real ones, each free again after its last use; how many there are.
fn allocate(code: &mut [Instruction], virtuals: u16) -> u16 {
    let mut last_use = vec![0; usize::from(virtuals)];
    for (at, instruction) in code.iter().enumerate() {
        for register in instruction.registers() {
            last_use[usize::from(register)] = at;
        }
    }
    let mut real = vec![0; usize::from(virtuals)];
    let (mut free, mut used) = (BTreeSet::new(), 0);
    for (at, instruction) in code.iter_mut().enumerate() {
        let registers = instruction.registers();
        if let Some(target) = instruction.target() {
            real[usize::from(target)] = free.pop_first().unwrap_or_else(|| {
                used += 1;
                used - 1
            });
        }
        instruction.rename(|register| real[usize::from(register)]);
        for register in BTreeSet::from_iter(registers) {
            if last_use[usize::from(register)] == at {
                free.insert(real[usize::from(register)]);
            }
        }
    }
    used
}
