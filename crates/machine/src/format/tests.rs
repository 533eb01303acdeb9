use super::{
    Offsets, Radix, Style, print, render, write_definition, write_instance, write_member_offsets,
    write_members,
};
use crate::{
    expr::evaluate,
    fake::{BASE, Fake},
    scope::Scope,
    value::Value,
};

const HEX: Style = Style { radix: Radix::Hexadecimal, print_max: 256, repeats: None };

fn task(fake: &Fake) -> Value {
    evaluate(fake, "init_task").unwrap()
}

#[test]
fn a_structure_prints_as_in_crash() {
    let fake = Fake::new();
    let mut out = String::new();
    write_instance(&mut out, &fake, &task(&fake), &Style::default()).unwrap();
    assert_eq!(
        out,
        r#"struct task {
  pid = -7,
  low = 3,
  high = 21,
  delta = -7,
  comm = "swapper",
  tasks = {
    next = 0xffff888000000010,
    prev = 0x0
  },
  {
    key = 65,
    bytes = "A\000\000"
  },
  state = SLEEPING,
  flags = (F_A | F_C),
  dead = true,
  fn = 0xffffffff81000010 <handler>,
  name = 0xffff888000000080 "hello\n\"you\"\377",
  pair = {1, 2},
  tail = 0xffff888000000050
}
"#
    );
}

#[test]
fn hexadecimal_shows_the_bits() {
    let fake = Fake::new();
    let shown = |text: &str| print(&fake, &evaluate(&fake, text).unwrap(), &HEX);
    assert_eq!(shown("init_task.pid"), "0xfffffff9");
    assert_eq!(shown("init_task.delta"), "0x9");
    assert_eq!(shown("init_task.bytes[0]"), "0x41");
    assert_eq!(shown("init_task.dead"), "0x1");
    assert_eq!(shown("init_task.comm"), "\"swapper\"");
    assert_eq!(shown("init_task.state"), "SLEEPING");
    assert_eq!(shown("init_task.pair"), "{0x1, 0x2}");
}

#[test]
fn members_print_as_they_stand_in_the_whole() {
    let fake = Fake::new();
    let mut out = String::new();
    let paths = ["pid", "tasks", "tasks.prev", "bytes", "tail", "nope"];
    write_members(&mut out, &fake, &task(&fake), &paths, &Style::default()).unwrap();
    assert_eq!(
        out,
        "  pid = -7,
  tasks = {
    next = 0xffff888000000010,
    prev = 0x0
  },
  tasks.prev = 0x0
  bytes = \"A\\000\\000\"
  tail = 0xffff888000000050
  nope = <struct task has no member nope>,
"
    );
}

#[test]
fn what_is_not_in_the_dump_costs_one_member() {
    let mut fake = Fake::new();
    fake.memory.truncate(60);
    let mut out = String::new();
    write_instance(&mut out, &fake, &task(&fake), &Style::default()).unwrap();
    assert!(out.contains("dead = true"), "{out}");
    assert!(
        out.contains(
            "fn = <page excluded by the dump filter: kernel virtual address ffff888000000038>"
        ),
        "{out}"
    );
}

#[test]
fn arrays_and_strings_are_cut_at_the_limit() {
    let fake = Fake::new();
    let short = Style { print_max: 3, ..Style::default() };
    let shown = |text: &str, style: &Style| print(&fake, &evaluate(&fake, text).unwrap(), style);
    assert_eq!(shown("init_task.comm", &short), "\"swa\"...");
    assert_eq!(shown("init_task.name", &short), "0xffff888000000080 \"hel\"...");
    assert_eq!(shown("{int}&init_task.fn@4", &short), "{-2130706416, -1, 128...}");
    let folded = Style { repeats: Some(2), ..Style::default() };
    assert_eq!(shown("{int}(0xffff888000000000+200)@5", &folded), "{0 <repeats 5 times>}");
    assert_eq!(super::quote_folded(b"P\0\0\0\0xx", 3), "\"P\", '\\000' <repeats 4 times>, \"xx\"");
    let exact = Style { print_max: 7, ..Style::default() };
    assert_eq!(shown("init_task.comm", &exact), "\"swapper\"");
}

#[test]
fn arrays_of_structures_indent_as_in_gdb() {
    let fake = Fake::new();
    let value = evaluate(&fake, "init_task.tasks@2").unwrap();
    assert_eq!(
        render(&fake, &value, &Style::default()).to_string(),
        "{{
    next = 0xffff888000000010,
    prev = 0x0
  }, {
    next = 0x41,
    prev = 0x500000001
  }}"
    );
}

#[test]
fn definitions_print_as_in_crash() {
    let fake = Fake::new();
    let ty = task(&fake).ty;
    let mut out = String::new();
    write_definition(&mut out, fake.types(), ty, Offsets::None).unwrap();
    assert_eq!(
        out,
        "struct task {
    int pid;
    unsigned int low : 3;
    unsigned int high : 5;
    int delta : 4;
    char comm[8];
    struct list_head tasks;
    union {
        unsigned long key;
        unsigned char bytes[4];
    };
    enum state state;
    enum flags flags;
    _Bool dead;
    void (*fn)(int);
    char *name;
    unsigned short pair[2];
    unsigned long tail[];
}
SIZE: 80
"
    );
    out.clear();
    write_definition(&mut out, fake.types(), ty, Offsets::Relative(Radix::Decimal)).unwrap();
    assert!(
        out.starts_with("struct task {\n   [0] int pid;\n   [4] unsigned int low : 3;\n"),
        "{out}"
    );
    assert!(
        out.contains("       union {\n  [32]     unsigned long key;\n  [32]     unsigned char bytes[4];\n       };\n"),
        "{out}"
    );
    out.clear();
    let missing = write_member_offsets(
        &mut out,
        fake.types(),
        ty,
        &["tasks.prev", "nope", "low"],
        Offsets::Absolute(BASE),
    )
    .unwrap();
    assert_eq!(missing, ["nope"]);
    assert_eq!(
        out,
        "struct task {
  [ffff888000000018] struct list_head *tasks.prev;
  [ffff888000000004] unsigned int low : 3;
}
"
    );
}
