//! A builder that computes what is known and appends to the graph what is not, after checking that
//! it fits.
//!
//! What exporters emit to compute shapes, masks and position tables is known once the shapes of the
//! inputs are, and never reaches the graph. Known f32 results are rounded after every operation, as
//! the graph's would be; known integers stay below 2^53.

use super::error::Problem;
use super::tensor::{INTEGER_MAX, Known, limited};
use super::{CONSTANT_ELEMENTS_MAX, CONSTANTS_ELEMENTS_MAX, ELEMENTS_MAX, TOTAL_ELEMENTS_MAX};
use crate::interp::{self, Tensor};
use crate::ir::{self, Element, Graph, Scales, Shape, Value, count};
use std::cell::Cell;
use std::rc::Rc;

/// A value of the model while it is imported.
#[derive(Debug, Clone)]
pub(super) enum Item {
    /// Its elements are known.
    Known(Rc<Known>),
    /// It is computed when the graph runs.
    Live(Value),
}

/// An elementwise operation on two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    Less,
    Equal,
}

/// An elementwise operation on one f32 operand that the graph has too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Neg,
    Abs,
    Sqrt,
    Floor,
    Exp,
    Sigmoid,
    Erf,
    Tanh,
}

/// See the module.
pub(super) struct Builder<'g> {
    pub(super) g: &'g mut Graph,
    pub(super) scales: Scales,
    /// Elements appended so far, over all values.
    elements: usize,
    /// Elements computed here so far.
    known: Cell<usize>,
}

impl<'g> Builder<'g> {
    pub(super) fn new(g: &'g mut Graph, scales: Scales) -> Self {
        Self { g, scales, elements: 0, known: Cell::new(0) }
    }

    pub(super) fn shape(&self, item: &Item) -> Shape {
        match item {
            Item::Known(known) => known.tensor.shape.clone(),
            Item::Live(value) => self.g.shape(*value).to_vec(),
        }
    }

    pub(super) fn element(&self, item: &Item) -> Element {
        match item {
            Item::Known(known) => known.element,
            Item::Live(value) => self.g.node(*value).element,
        }
    }

    /// Refuses a shape that the graph may not hold, and counts it.
    pub(super) fn admit(&mut self, shape: &[usize]) -> Result<(), Problem> {
        if shape.contains(&0) {
            return Err(Problem::Shape(format!("shape {shape:?} is empty")));
        }
        self.elements = self.elements.saturating_add(limited(shape, ELEMENTS_MAX)?);
        if self.elements > TOTAL_ELEMENTS_MAX {
            let max = TOTAL_ELEMENTS_MAX;
            return Err(Problem::Range(format!("more than {max} elements in all values together")));
        }
        Ok(())
    }

    pub(super) fn known(
        &self,
        element: Element,
        shape: Shape,
        data: Vec<f64>,
    ) -> Result<Item, Problem> {
        let total = self.known.get().saturating_add(data.len());
        self.known.set(total);
        if total > CONSTANTS_ELEMENTS_MAX {
            let max = CONSTANTS_ELEMENTS_MAX;
            return Err(Problem::Range(format!("more than {max} elements in constants")));
        }
        Ok(Item::Known(Rc::new(Known::new(element, shape, data)?)))
    }

    /// A known f32 of no dimensions.
    pub(super) fn scalar(&self, value: f32) -> Item {
        Item::Known(Rc::new(Known::floats(&[], &[value])))
    }

    /// The value in the graph; a known one becomes a constant. One of no dimensions becomes `[1]`,
    /// which broadcasts alike.
    pub(super) fn live(&mut self, item: &Item) -> Result<Value, Problem> {
        let known = match item {
            Item::Live(value) => return Ok(*value),
            Item::Known(known) => known,
        };
        let Tensor { shape, data } = &known.tensor;
        self.admit(shape)?;
        if data.iter().any(|x| x.is_nan()) {
            return Err(Problem::NotFinite);
        }
        let shape: &[usize] = if shape.is_empty() { &[1] } else { shape };
        let floats = || data.iter().map(|x| *x as f32).collect::<Vec<f32>>();
        Ok(match known.element {
            Element::F32 => self.g.constant(shape, &floats()),
            Element::I64 => {
                let integers: Vec<i64> = data.iter().map(|x| *x as i64).collect();
                self.g.indices(shape, &integers)
            }
            Element::Bool => {
                let (zero, numbers) = (self.g.scalar(0.0), self.g.constant(shape, &floats()));
                self.g.less(zero, numbers)
            }
        })
    }

    /// A value in the graph that holds f32.
    pub(super) fn live_float(&mut self, item: &Item) -> Result<Value, Problem> {
        self.expect(item, Element::F32)?;
        self.live(item)
    }

    pub(super) fn expect(&self, item: &Item, element: Element) -> Result<(), Problem> {
        if self.element(item) == element { Ok(()) } else { Err(wrong(self.element(item))) }
    }

    pub(super) fn unary(&mut self, op: Unary, x: &Item) -> Result<Item, Problem> {
        if let Item::Known(known) = x {
            let f: fn(f64) -> f64 = match op {
                Unary::Neg => |x| -x,
                Unary::Abs => f64::abs,
                Unary::Sqrt => f64::sqrt,
                Unary::Floor => f64::floor,
                Unary::Exp => libm::exp,
                Unary::Sigmoid => |x| 1.0 / (1.0 + libm::exp(-x)),
                Unary::Erf => libm::erf,
                Unary::Tanh => libm::tanh,
            };
            let integral = matches!(op, Unary::Neg | Unary::Abs);
            if known.element != Element::F32 && !(integral && known.element == Element::I64) {
                return Err(wrong(known.element));
            }
            return self.map(known, f);
        }
        let value = self.live_float(x)?;
        self.admit(&self.shape(x))?;
        Ok(Item::Live(match op {
            Unary::Neg => self.g.neg(value),
            Unary::Abs => self.g.abs(value),
            Unary::Sqrt => self.g.sqrt(value),
            Unary::Floor => self.g.floor(value),
            Unary::Exp => self.g.exp(value),
            Unary::Sigmoid => self.g.sigmoid(value),
            Unary::Erf => self.g.erf(value),
            Unary::Tanh => self.g.tanh(value),
        }))
    }

    /// `f` of every element of a known value.
    pub(super) fn map(&self, x: &Known, f: impl Fn(f64) -> f64) -> Result<Item, Problem> {
        let data = x.tensor.data.iter().map(|v| rounded(x.element, f(*v)));
        let data = data.collect::<Result<_, _>>()?;
        self.known(x.element, x.tensor.shape.clone(), data)
    }

    /// `f` of every pair of elements of known values, broadcast.
    pub(super) fn zip(
        &self,
        a: &Known,
        b: &Known,
        element: Element,
        f: impl Fn(f64, f64) -> f64,
    ) -> Result<Item, Problem> {
        let shape = broadcast(&a.tensor.shape, &b.tensor.shape)?;
        limited(&shape, CONSTANT_ELEMENTS_MAX)?;
        let (xs, ys) = (interp::repeat(&a.tensor, &shape), interp::repeat(&b.tensor, &shape));
        let data = xs.iter().zip(&ys).map(|(x, y)| rounded(element, f(*x, *y)));
        let data = data.collect::<Result<_, _>>()?;
        self.known(element, shape, data)
    }

    pub(super) fn binary(&mut self, op: Binary, a: &Item, b: &Item) -> Result<Item, Problem> {
        let element = self.element(a);
        self.expect(b, element)?;
        let shape = broadcast(&self.shape(a), &self.shape(b))?;
        if let (Item::Known(a), Item::Known(b)) = (a, b) {
            return self.known_binary(op, a, b);
        }
        self.admit(&shape)?;
        let (x, y) = (self.live(a)?, self.live(b)?);
        let value = match (op, element) {
            (Binary::Equal, Element::I64) => self.g.equal(x, y),
            (Binary::Equal, _) | (_, Element::I64 | Element::Bool) => return Err(wrong(element)),
            (Binary::Add, _) => self.g.add(x, y),
            (Binary::Sub, _) => self.g.sub(x, y),
            (Binary::Mul, _) => self.g.mul(x, y),
            (Binary::Div, _) => self.g.div(x, y),
            (Binary::Max, _) => self.g.max(x, y),
            (Binary::Min, _) => {
                let (x, y) = (self.g.neg(x), self.g.neg(y));
                let max = self.g.max(x, y);
                self.g.neg(max)
            }
            (Binary::Less, _) => self.g.less(x, y),
        };
        Ok(self.shaped(value, &shape))
    }

    fn known_binary(&self, op: Binary, a: &Known, b: &Known) -> Result<Item, Problem> {
        let element = a.element;
        let integral = element == Element::I64;
        if element == Element::Bool && op != Binary::Equal {
            return Err(wrong(element));
        }
        if integral && op == Binary::Div && b.tensor.data.contains(&0.0) {
            return Err(Problem::Range("an integer is divided by 0".into()));
        }
        match op {
            Binary::Add => self.zip(a, b, element, |x, y| x + y),
            Binary::Sub => self.zip(a, b, element, |x, y| x - y),
            Binary::Mul => self.zip(a, b, element, |x, y| x * y),
            Binary::Div if integral => self.zip(a, b, element, |x, y| (x / y).trunc()),
            Binary::Div => self.zip(a, b, element, |x, y| x / y),
            Binary::Max => self.zip(a, b, element, f64::max),
            Binary::Min => self.zip(a, b, element, f64::min),
            Binary::Less => self.zip(a, b, Element::Bool, |x, y| f64::from(u8::from(x < y))),
            #[expect(clippy::float_cmp, reason = "the operator compares exactly")]
            Binary::Equal => self.zip(a, b, Element::Bool, |x, y| f64::from(u8::from(x == y))),
        }
    }

    /// The graph's value with dimensions of 1 that a constant of no dimensions may have lent it
    /// taken off.
    fn shaped(&mut self, value: Value, shape: &[usize]) -> Item {
        Item::Live(self.g.reshape(value, shape))
    }

    /// Where `which` then a else b. Adding +0 in the graph gives both zeros one sign: engines
    /// differ in which a selection yields.
    pub(super) fn select(&mut self, which: &Item, a: &Item, b: &Item) -> Result<Item, Problem> {
        self.expect(which, Element::Bool)?;
        let element = self.element(a);
        self.expect(b, element)?;
        let branches = broadcast(&self.shape(a), &self.shape(b))?;
        let shape = broadcast(&self.shape(which), &branches)?;
        if let (Item::Known(which), Item::Known(a), Item::Known(b)) = (which, a, b) {
            limited(&shape, CONSTANT_ELEMENTS_MAX)?;
            let [w, a, b] = [which, a, b].map(|t| interp::repeat(&t.tensor, &shape));
            let data = (0..w.len()).map(|i| if w[i] == 0.0 { b[i] } else { a[i] }).collect();
            return self.known(element, shape, data);
        }
        if element != Element::F32 {
            return Err(wrong(element));
        }
        self.admit(&shape)?;
        let (which, a, b) = (self.live(which)?, self.live(a)?, self.live(b)?);
        let chosen = self.g.select(which, a, b);
        let zero = self.g.scalar(0.0);
        let value = self.g.add(chosen, zero);
        Ok(self.shaped(value, &shape))
    }

    /// Numbers from any element type.
    pub(super) fn numbers(&mut self, x: &Item) -> Result<Item, Problem> {
        match x {
            Item::Known(known) => {
                let data = known.tensor.data.iter().map(|v| f64::from(*v as f32)).collect();
                self.known(Element::F32, known.tensor.shape.clone(), data)
            }
            Item::Live(value) => Ok(Item::Live(match self.element(x) {
                Element::F32 => *value,
                Element::I64 => self.g.to_float(*value),
                Element::Bool => {
                    let (one, zero) = (self.g.scalar(1.0), self.g.scalar(0.0));
                    let shape = self.shape(x);
                    let chosen = self.g.select(*value, one, zero);
                    self.g.reshape(chosen, &shape)
                }
            })),
        }
    }

    pub(super) fn reshape(&mut self, x: &Item, shape: &[usize]) -> Result<Item, Problem> {
        let from = self.shape(x);
        if limited(shape, ELEMENTS_MAX)? != count(&from) {
            return Err(Problem::Shape(format!("shape {from:?} cannot become {shape:?}")));
        }
        Ok(match x {
            Item::Known(known) => {
                self.known(known.element, shape.to_vec(), known.tensor.data.clone())?
            }
            Item::Live(value) => Item::Live(self.g.reshape(*value, shape)),
        })
    }

    /// `perm` is a permutation of the dimensions.
    pub(super) fn transpose(&mut self, x: &Item, perm: &[usize]) -> Result<Item, Problem> {
        if perm.iter().enumerate().all(|(i, p)| i == *p) {
            return Ok(x.clone());
        }
        match x {
            Item::Known(known) => {
                let shape = perm.iter().map(|p| known.tensor.shape[*p]).collect();
                self.known(known.element, shape, interp::transpose(&known.tensor, perm))
            }
            Item::Live(value) => {
                self.admit(&self.shape(x))?;
                Ok(Item::Live(self.g.transpose(*value, perm)))
            }
        }
    }

    /// x with two dimensions swapped.
    pub(super) fn swap(&mut self, x: &Item, a: usize, b: usize) -> Result<Item, Problem> {
        let mut perm: Vec<usize> = (0..self.shape(x).len()).collect();
        perm.swap(a, b);
        self.transpose(x, &perm)
    }

    /// The exact product of stacks whose leading dimensions agree and whose contraction fits.
    pub(super) fn matmul(
        &mut self,
        x: Value,
        y: Value,
        tx: bool,
        ty: bool,
    ) -> Result<Item, Problem> {
        let (lead, m, _) = ir::matrix(self.g.shape(x), tx);
        let (_, _, n) = ir::matrix(self.g.shape(y), ty);
        let shape = [lead, &[m, n]].concat();
        self.admit(&shape)?;
        Ok(Item::Live(self.g.matmul(x, y, tx, ty, self.scales)))
    }

    /// The exact sum over dimensions (ascending, at least one) of a live value, kept as size 1.
    pub(super) fn reduce_sum(&mut self, x: &Item, over: &[usize]) -> Result<Item, Problem> {
        let value = self.live_float(x)?;
        Ok(Item::Live(self.g.reduce_sum(value, over)))
    }

    /// x broadcast to `shape`.
    pub(super) fn expand(&mut self, x: &Item, shape: &[usize]) -> Result<Item, Problem> {
        let from = self.shape(x);
        if broadcast(&from, shape)? != shape {
            return Err(Problem::Shape(format!("shape {from:?} does not broadcast to {shape:?}")));
        }
        match x {
            Item::Known(known) => {
                limited(shape, CONSTANT_ELEMENTS_MAX)?;
                let data = interp::repeat(&known.tensor, shape);
                self.known(known.element, shape.to_vec(), data)
            }
            Item::Live(value) => {
                self.admit(shape)?;
                Ok(Item::Live(self.g.expand(*value, shape)))
            }
        }
    }

    /// At least one part; the parts agree in all dimensions but `axis`.
    pub(super) fn concat(&mut self, parts: &[Item], axis: usize) -> Result<Item, Problem> {
        let mut shape = self.shape(&parts[0]);
        let element = self.element(&parts[0]);
        shape[axis] = 0;
        for part in parts {
            self.expect(part, element)?;
            let mut other = self.shape(part);
            if other.len() != shape.len() {
                return Err(Problem::Shape("parts of different ranks are joined".into()));
            }
            shape[axis] = shape[axis].saturating_add(other[axis]);
            other[axis] = shape[axis];
            if other != shape {
                return Err(Problem::Shape(format!("{other:?} and {shape:?} are joined")));
            }
        }
        let known: Option<Vec<&Tensor>> = parts.iter().map(Item::tensor).collect();
        if let Some(known) = known {
            limited(&shape, CONSTANT_ELEMENTS_MAX)?;
            return self.known(element, shape, interp::concat(&known, axis));
        }
        self.admit(&shape)?;
        let parts: Result<Vec<Value>, Problem> = parts.iter().map(|part| self.live(part)).collect();
        Ok(Item::Live(self.g.concat(&parts?, axis)))
    }

    /// Elements `start`, `start + step`, … along `axis`, `len` of them, all of them there.
    pub(super) fn slice(
        &mut self,
        x: &Item,
        axis: usize,
        start: usize,
        step: usize,
        len: usize,
    ) -> Result<Item, Problem> {
        let mut shape = self.shape(x);
        shape[axis] = len;
        match x {
            Item::Known(known) => {
                let data = interp::slice(&known.tensor, axis, start, step, len);
                self.known(known.element, shape, data)
            }
            Item::Live(value) => {
                self.admit(&shape)?;
                Ok(Item::Live(self.g.slice(*value, axis, start, step, len)))
            }
        }
    }
}

impl Item {
    /// The elements, if they are known.
    pub(super) fn tensor(&self) -> Option<&Tensor> {
        match self {
            Self::Known(known) => Some(&known.tensor),
            Self::Live(_) => None,
        }
    }
}

pub(super) fn wrong(element: Element) -> Problem {
    let name = match element {
        Element::F32 => "FLOAT",
        Element::I64 => "INT64, of a value that is not constant,",
        Element::Bool => "BOOL",
    };
    Problem::Element(name.into())
}

/// A result as its element type holds it.
fn rounded(element: Element, x: f64) -> Result<f64, Problem> {
    match element {
        Element::F32 => Ok(f64::from(x as f32)),
        Element::Bool => Ok(x),
        Element::I64 if x.abs() <= INTEGER_MAX => Ok(x),
        Element::I64 => Err(Problem::Range(format!("the integer {x} is out of range"))),
    }
}

/// NumPy broadcasting of two shapes.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Shape, Problem> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], i: usize| (i + shape.len()).checked_sub(rank).map(|j| shape[j]);
    let size = |i: usize| match (at(a, i).unwrap_or(1), at(b, i).unwrap_or(1)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(Problem::Shape(format!("shapes {a:?} and {b:?} do not broadcast"))),
    };
    (0..rank).map(size).collect()
}
