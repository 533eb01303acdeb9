//! `bt -u`: the stack of user space.

use necropsy_linux::task::Task;

use crate::rows::stacks::{UserFrameRow, UserTraceRow};
use crate::{
    Outcome,
    render::{Hex, Output},
    tasks::Header,
};

pub(super) fn show(task: Task<'_>, header: Header, out: &mut Output) -> Outcome {
    let mut row = UserTraceRow { header, frames: Vec::new(), ended: None };
    match task.user_trace() {
        Ok(trace) => {
            row.ended = trace.ended;
            row.frames = trace
                .frames
                .into_iter()
                .enumerate()
                .map(|(index, frame)| UserFrameRow {
                    index,
                    sp: Hex(frame.sp),
                    pc: Hex(frame.pc),
                    found_by: frame.found_by,
                    file: frame.file,
                    linked: frame.linked.map(Hex),
                })
                .collect();
        }
        Err(error) => row.ended = Some(error.to_string()),
    }
    out.record(&row, |line| {
        writeln!(line, "{}", row.header)?;
        for frame in &row.frames {
            let index = format!("#{}", frame.index);
            write!(line, "{index:>3} [{:016x}] {:016x}", frame.sp.0, frame.pc.0)?;
            if let Some(file) = &frame.file {
                write!(line, " {file}")?;
            }
            match frame.linked {
                Some(linked) => writeln!(line, " {:#x}", linked.0)?,
                None => writeln!(line)?,
            }
        }
        match &row.ended {
            Some(why) => writeln!(line, "    (trace ends: {why})"),
            None => Ok(()),
        }
    })
}
