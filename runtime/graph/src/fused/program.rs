//! Elementwise programs: what one fused node computes, as a list of numbers that a model file can
//! carry.
//!
//! A program runs over lanes 0..n, each on its own. Registers and scalars hold 32 bits per lane: an
//! f32, a truth value (all ones or all zeros), or an index as an `i32`. Loads read an operand
//! through a [`View`]; stores write results lane by lane.

/// Where lane numbers lead in an operand: lane = Σ digitᵢ · Πⱼ₍ⱼ>ᵢ₎ extentⱼ goes to offset Σ digitᵢ
/// · strideᵢ.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    /// Extent and stride of each digit, outermost first.
    pub digits: Vec<(usize, usize)>,
    /// Takes the innermost digit's place by another: `order[digit]`.
    pub order: Option<Vec<usize>>,
}

/// An operand of an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A register.
    Register(u16),
    /// One number for all lanes: a constant of the program.
    Constant(u16),
    /// One number for all lanes: the only element of an input.
    Scalar(u16),
}

/// An operation of one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Unary {
    /// −a.
    Neg,
    /// |a|.
    Abs,
    /// √a.
    Sqrt,
    /// ⌊a⌋.
    Floor,
    /// 2ⁿ rounded to f32 for n = a + [`crate::composite::EXPONENT_MIN`], an integer up to
    /// [`crate::composite::EXPONENT_MAX`].
    PowerOfTwo,
}

/// An operation of two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Binary {
    /// a + b.
    Add,
    /// a − b.
    Sub,
    /// a · b.
    Mul,
    /// a / b.
    Div,
    /// max(a, b), NaN where either is.
    Max,
    /// a < b.
    Less,
    /// a = b, over indices.
    Equal,
}

/// One step of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Instruction {
    /// Reads an operand into a register.
    Load {
        /// Register.
        to: u16,
        /// Which input.
        input: u16,
        /// How its elements lie.
        view: View,
    },
    /// Of one operand.
    Unary {
        /// What.
        op: Unary,
        /// Register.
        to: u16,
        /// Operand.
        a: Source,
    },
    /// Of two operands.
    Binary {
        /// What.
        op: Binary,
        /// Register.
        to: u16,
        /// First operand.
        a: Source,
        /// Second operand.
        b: Source,
    },
    /// Where `which` then a else b.
    Select {
        /// Register.
        to: u16,
        /// Truth values.
        which: Source,
        /// Where true.
        a: Source,
        /// Where false.
        b: Source,
    },
    /// Writes a result.
    Store {
        /// Which output.
        output: u16,
        /// What.
        from: Source,
    },
}

/// A program over `lanes` lanes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Lanes.
    pub lanes: usize,
    /// Registers that it uses.
    pub registers: u16,
    /// Bits of its constants.
    pub constants: Vec<u32>,
    /// Steps in order.
    pub code: Vec<Instruction>,
}

/// Numbers that are no program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an elementwise program: {0}")]
pub struct ProgramError(&'static str);

/// Most digits of a view.
pub const DIGITS_MAX: usize = 16;

/// Most lanes: offsets and lane numbers are far from overflow.
const LANES_MAX: usize = 1 << 40;

impl Program {
    /// The program as numbers: lanes; registers; constants, counted; then each instruction as its
    /// code and its fields, lists counted.
    #[must_use]
    pub fn to_words(&self) -> Vec<i64> {
        let mut words = Words(vec![]);
        words.put(self.lanes);
        words.put(usize::from(self.registers));
        words.put(self.constants.len());
        self.constants.iter().for_each(|c| words.put(*c as usize));
        for instruction in &self.code {
            words.instruction(instruction);
        }
        words.0
    }

    /// Reads what [`Self::to_words`] wrote, and checks that every register and constant that it
    /// names exists and is set before it is read.
    ///
    /// # Errors
    /// [`ProgramError`] with what is wrong.
    pub fn from_words(words: &[i64]) -> Result<Self, ProgramError> {
        let mut reader = Reader(words.iter());
        let lanes = reader.number(LANES_MAX)?;
        let registers = reader.number(usize::from(u16::MAX))? as u16;
        let constants = (0..reader.number(words.len())?)
            .map(|_| reader.number(u32::MAX as usize).map(|c| c as u32))
            .collect::<Result<Vec<_>, _>>()?;
        let mut code = vec![];
        while let Some(kind) = reader.next() {
            code.push(reader.instruction(kind)?);
        }
        let program = Self { lanes, registers, constants, code };
        program.check()?;
        Ok(program)
    }

    fn check(&self) -> Result<(), ProgramError> {
        let mut set = vec![false; usize::from(self.registers)];
        for instruction in &self.code {
            for source in instruction.sources() {
                let there = match source {
                    Source::Register(r) => set.get(usize::from(r)).copied().unwrap_or(false),
                    Source::Constant(c) => usize::from(c) < self.constants.len(),
                    Source::Scalar(_) => true,
                };
                if !there {
                    return Err(ProgramError("an operand that is not there"));
                }
            }
            if let Some(to) = instruction.target() {
                // The interpreter writes a result while it reads the operands.
                if instruction.sources().contains(&Source::Register(to)) {
                    return Err(ProgramError("a result over its own operand"));
                }
                *set.get_mut(usize::from(to))
                    .ok_or(ProgramError("a register that is not there"))? = true;
            }
            if let Instruction::Load { view, .. } = instruction {
                self.check_view(view)?;
            }
        }
        Ok(())
    }

    fn check_view(&self, view: &View) -> Result<(), ProgramError> {
        let lanes = view.digits.iter().try_fold(1usize, |n, (extent, _)| n.checked_mul(*extent));
        let inner = view.digits.last().map_or(1, |(extent, _)| *extent);
        let order_fits = view
            .order
            .as_ref()
            .is_none_or(|order| order.len() == inner && order.iter().all(|j| *j < inner));
        let fits = lanes == Some(self.lanes) && lanes > Some(0) && view.digits.len() <= DIGITS_MAX;
        if !fits || view.last_offset().is_none() || !order_fits {
            return Err(ProgramError("a view of another size"));
        }
        Ok(())
    }
}

impl View {
    /// The largest offset, or nothing where it is past `LANES_MAX`.
    #[must_use]
    pub fn last_offset(&self) -> Option<usize> {
        let last = self.digits.iter().try_fold(0usize, |sum, (extent, stride)| {
            extent.checked_sub(1)?.checked_mul(*stride)?.checked_add(sum)
        });
        last.filter(|last| *last <= LANES_MAX)
    }
}

impl Instruction {
    /// The register that it sets.
    #[must_use]
    pub fn target(&self) -> Option<u16> {
        match self {
            Self::Load { to, .. }
            | Self::Unary { to, .. }
            | Self::Binary { to, .. }
            | Self::Select { to, .. } => Some(*to),
            Self::Store { .. } => None,
        }
    }

    /// Every register that it names, its target among them.
    pub(crate) fn registers(&self) -> Vec<u16> {
        let of = |source: Source| match source {
            Source::Register(register) => Some(register),
            Source::Constant(_) | Source::Scalar(_) => None,
        };
        self.sources().into_iter().filter_map(of).chain(self.target()).collect()
    }

    /// Replaces every register by another.
    pub(crate) fn rename(&mut self, name: impl Fn(u16) -> u16) {
        let source = |source: &mut Source| {
            if let Source::Register(register) = source {
                *register = name(*register);
            }
        };
        match self {
            Self::Load { to, .. } => *to = name(*to),
            Self::Unary { to, a, .. } => {
                *to = name(*to);
                source(a);
            }
            Self::Binary { to, a, b, .. } => {
                *to = name(*to);
                [a, b].into_iter().for_each(source);
            }
            Self::Select { to, which, a, b } => {
                *to = name(*to);
                [which, a, b].into_iter().for_each(source);
            }
            Self::Store { from, .. } => source(from),
        }
    }

    /// What it reads.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        match self {
            Self::Load { .. } => vec![],
            Self::Unary { a, .. } => vec![*a],
            Self::Binary { a, b, .. } => vec![*a, *b],
            Self::Select { which, a, b, .. } => vec![*which, *a, *b],
            Self::Store { from, .. } => vec![*from],
        }
    }
}

const LOAD: usize = 0;
const UNARY: usize = 1;
const BINARY: usize = 2;
const SELECT: usize = 3;
const STORE: usize = 4;

const UNARIES: [Unary; 5] = [Unary::Neg, Unary::Abs, Unary::Sqrt, Unary::Floor, Unary::PowerOfTwo];
const BINARIES: [Binary; 7] =
    [Binary::Add, Binary::Sub, Binary::Mul, Binary::Div, Binary::Max, Binary::Less, Binary::Equal];

struct Words(Vec<i64>);

impl Words {
    fn put(&mut self, word: usize) {
        self.0.push(i64::try_from(word).unwrap_or(i64::MAX));
    }

    fn put_all<const N: usize>(&mut self, words: [usize; N]) {
        words.into_iter().for_each(|word| self.put(word));
    }

    fn put_sources<const N: usize>(&mut self, sources: [Source; N]) {
        for source in sources {
            let (kind, index) = match source {
                Source::Register(i) => (0, i),
                Source::Constant(i) => (1, i),
                Source::Scalar(i) => (2, i),
            };
            self.put(kind << 16 | usize::from(index));
        }
    }

    fn instruction(&mut self, instruction: &Instruction) {
        match instruction {
            Instruction::Load { to, input, view } => {
                self.put_all([LOAD, usize::from(*to), usize::from(*input)]);
                self.put(view.digits.len());
                for (extent, stride) in &view.digits {
                    self.put_all([*extent, *stride]);
                }
                self.put(view.order.as_ref().map_or(0, Vec::len));
                view.order.iter().flatten().for_each(|j| self.put(*j));
            }
            Instruction::Unary { op, to, a } => {
                self.put_all([UNARY, *op as usize, usize::from(*to)]);
                self.put_sources([*a]);
            }
            Instruction::Binary { op, to, a, b } => {
                self.put_all([BINARY, *op as usize, usize::from(*to)]);
                self.put_sources([*a, *b]);
            }
            Instruction::Select { to, which, a, b } => {
                self.put_all([SELECT, usize::from(*to)]);
                self.put_sources([*which, *a, *b]);
            }
            Instruction::Store { output, from } => {
                self.put_all([STORE, usize::from(*output)]);
                self.put_sources([*from]);
            }
        }
    }
}

struct Reader<'w>(std::slice::Iter<'w, i64>);

impl Reader<'_> {
    fn next(&mut self) -> Option<i64> {
        self.0.next().copied()
    }

    fn number(&mut self, max: usize) -> Result<usize, ProgramError> {
        let word = self.next().ok_or(ProgramError("it ends early"))?;
        let word = usize::try_from(word).ok().filter(|word| *word <= max);
        word.ok_or(ProgramError("a number out of range"))
    }

    fn short(&mut self) -> Result<u16, ProgramError> {
        Ok(self.number(usize::from(u16::MAX))? as u16)
    }

    fn source(&mut self) -> Result<Source, ProgramError> {
        let word = self.number(3 << 16)?;
        let index = (word & 0xffff) as u16;
        match word >> 16 {
            0 => Ok(Source::Register(index)),
            1 => Ok(Source::Constant(index)),
            2 => Ok(Source::Scalar(index)),
            _ => Err(ProgramError("no such kind of operand")),
        }
    }

    fn instruction(&mut self, kind: i64) -> Result<Instruction, ProgramError> {
        match usize::try_from(kind) {
            Ok(LOAD) => {
                let (to, input) = (self.short()?, self.short()?);
                let digits = (0..self.number(self.0.len())?)
                    .map(|_| Ok((self.number(LANES_MAX)?, self.number(LANES_MAX)?)))
                    .collect::<Result<Vec<_>, ProgramError>>()?;
                let order = (0..self.number(self.0.len())?)
                    .map(|_| self.number(LANES_MAX))
                    .collect::<Result<Vec<_>, _>>()?;
                let order = Some(order).filter(|order| !order.is_empty());
                Ok(Instruction::Load { to, input, view: View { digits, order } })
            }
            Ok(UNARY) => {
                let op = UNARIES[self.number(UNARIES.len() - 1)?];
                Ok(Instruction::Unary { op, to: self.short()?, a: self.source()? })
            }
            Ok(BINARY) => {
                let op = BINARIES[self.number(BINARIES.len() - 1)?];
                let to = self.short()?;
                Ok(Instruction::Binary { op, to, a: self.source()?, b: self.source()? })
            }
            Ok(SELECT) => {
                let to = self.short()?;
                let (which, a, b) = (self.source()?, self.source()?, self.source()?);
                Ok(Instruction::Select { to, which, a, b })
            }
            Ok(STORE) => Ok(Instruction::Store { output: self.short()?, from: self.source()? }),
            _ => Err(ProgramError("no such instruction")),
        }
    }
}
