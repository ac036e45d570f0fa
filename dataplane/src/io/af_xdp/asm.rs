//! BPF instructions with labels: as much of an assembler as the steering program needs.

/// A register. `R1` to `R5` are lost in a call, and `R0` is its result.
#[derive(Clone, Copy, Debug)]
pub(super) enum Register {
    R1 = 1,
    R2,
    R3,
    R6 = 6,
    R7,
    R8,
    R0 = 0,
}

/// Octets that a load reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Size {
    Octet = 0x71,
    Half = 0x69,
    Word = 0x61,
}

/// A place in the program that jumps lead to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Label(usize);

/// One instruction as the kernel takes it (`struct bpf_insn`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(super) struct Instruction {
    code: u8,
    registers: u8,
    offset: i16,
    value: i32,
}

/// A program while it is written.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    instructions: Vec<Instruction>,
    /// Where each label is.
    labels: Vec<Option<usize>>,
    /// Jumps and the labels they lead to.
    jumps: Vec<(usize, Label)>,
}

impl Assembler {
    /// A label to be placed later.
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    /// Places a label before the next instruction.
    pub(super) fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.instructions.len());
    }

    /// `to = from`
    pub(super) fn copy(&mut self, to: Register, from: Register) {
        self.emit(0xbf, to, from, 0, 0);
    }

    /// `to = value`
    pub(super) fn set(&mut self, to: Register, value: i32) {
        self.emit(0xb7, to, Register::R0, 0, value);
    }

    /// `to += value`
    pub(super) fn add(&mut self, to: Register, value: i32) {
        self.emit(0x07, to, Register::R0, 0, value);
    }

    /// `to += from`
    pub(super) fn add_register(&mut self, to: Register, from: Register) {
        self.emit(0x0f, to, from, 0, 0);
    }

    /// `to &= value`
    pub(super) fn and(&mut self, to: Register, value: i32) {
        self.emit(0x57, to, Register::R0, 0, value);
    }

    /// `to <<= value`
    pub(super) fn shift_left(&mut self, to: Register, value: i32) {
        self.emit(0x67, to, Register::R0, 0, value);
    }

    /// `to = *(from + offset)`, zero-extended.
    pub(super) fn load(&mut self, size: Size, to: Register, from: Register, offset: i16) {
        self.emit(size as u8, to, from, offset, 0);
    }

    /// `to = ` the map of this descriptor.
    pub(super) fn load_map(&mut self, to: Register, descriptor: i32) {
        const PSEUDO_MAP_FD: u8 = 1;
        self.raw(0x18, to as u8 | PSEUDO_MAP_FD << 4, 0, descriptor);
        self.raw(0, 0, 0, 0);
    }

    /// Jumps if the low half of `register` is `value`.
    pub(super) fn if_equal(&mut self, register: Register, value: u32, to: Label) {
        self.jump(0x16, register, Register::R0, value as i32, to);
    }

    /// Jumps if the low half of `register` is not `value`.
    pub(super) fn if_not_equal(&mut self, register: Register, value: u32, to: Label) {
        self.jump(0x56, register, Register::R0, value as i32, to);
    }

    /// Jumps if the low half of `register` is less than `value`.
    pub(super) fn if_less(&mut self, register: Register, value: u32, to: Label) {
        self.jump(0xa6, register, Register::R0, value as i32, to);
    }

    /// Jumps if `a > b`.
    pub(super) fn if_greater(&mut self, a: Register, b: Register, to: Label) {
        self.jump(0x2d, a, b, 0, to);
    }

    /// Jumps.
    pub(super) fn go(&mut self, to: Label) {
        self.jump(0x05, Register::R0, Register::R0, 0, to);
    }

    /// Calls a helper of the kernel.
    pub(super) fn call(&mut self, helper: i32) {
        self.raw(0x85, 0, 0, helper);
    }

    /// Ends with the result in `R0`.
    pub(super) fn exit(&mut self) {
        self.raw(0x95, 0, 0, 0);
    }

    /// The program.
    ///
    /// # Panics
    /// If a jump leads to a label that was not placed, or too far: mistakes in the writing of the program.
    pub(super) fn finish(mut self) -> Vec<Instruction> {
        for (at, label) in self.jumps {
            let to = self.labels[label.0].expect("every label is placed");
            // Counted from the instruction after the jump.
            let distance = to as i64 - (at as i64 + 1);
            self.instructions[at].offset = distance.try_into().expect("jumps are short");
        }
        self.instructions
    }

    fn jump(&mut self, code: u8, a: Register, b: Register, value: i32, to: Label) {
        self.jumps.push((self.instructions.len(), to));
        self.emit(code, a, b, 0, value);
    }

    fn emit(&mut self, code: u8, to: Register, from: Register, offset: i16, value: i32) {
        self.raw(code, to as u8 | (from as u8) << 4, offset, value);
    }

    fn raw(&mut self, code: u8, registers: u8, offset: i16, value: i32) {
        self.instructions.push(Instruction { code, registers, offset, value });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_lead_where_their_label_is() {
        let mut program = Assembler::default();
        let (start, end) = (program.label(), program.label());
        program.place(start);
        program.if_equal(Register::R1, 7, end);
        program.load_map(Register::R2, 9);
        program.go(start);
        program.place(end);
        program.exit();
        let program = program.finish();
        let offsets: Vec<_> = program.iter().map(|i| i.offset).collect();
        assert_eq!(offsets, [3, 0, 0, -4, 0]);
        assert_eq!(program[0], Instruction { code: 0x16, registers: 1, offset: 3, value: 7 });
        assert_eq!(program[1], Instruction { code: 0x18, registers: 0x12, offset: 0, value: 9 });
    }
}
