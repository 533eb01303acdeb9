use super::evaluate;
use crate::{
    fake::{BASE, Fake},
    format::{Style, print},
};

fn shown(text: &str) -> String {
    let fake = Fake::new();
    match evaluate(&fake, text) {
        Ok(value) => print(&fake, &value, &Style::default()),
        Err(error) => format!("{}: {error}", error.position),
    }
}

#[test]
fn integers_follow_c() {
    for (text, value) in [
        ("1+2*3", "7"),
        ("0xffffffff+1", "0"),
        ("4294967295+1", "4294967296"),
        ("0x80000000", "2147483648"),
        ("2147483647+1", "-2147483648"),
        ("2147483648", "2147483648"),
        ("1<<31", "-2147483648"),
        ("1L << 63", "-9223372036854775808"),
        ("1ul << 63 >> 63", "1"),
        ("-1 > 0u", "1"),
        ("-1 > 0", "0"),
        ("-1L < 0u", "1"),
        ("10u - 11", "4294967295"),
        ("~0", "-1"),
        ("~0ul", "18446744073709551615"),
        ("(long)-1", "-1"),
        ("(unsigned int)-1", "4294967295"),
        ("(unsigned char)300", "44 ','"),
        ("(_Bool)2", "true"),
        ("!5", "0"),
        ("-5/2", "-2"),
        ("-5%3", "-2"),
        ("1 ? 2 : 3", "2"),
        ("5 > 3 && 2", "1"),
        ("1, 2", "2"),
        ("'a'", "97 'a'"),
        ("'a'+1", "98"),
        ("sizeof(int)", "4"),
        ("sizeof(struct list_head)*2", "32"),
        ("sizeof init_task.comm", "8"),
        ("sizeof(struct task *)", "8"),
        ("010 | 3", "11"),
        ("0xffff888000000000", "18446612682070000000"),
    ] {
        let value = if text.starts_with("0xffff8") { BASE.to_string() } else { value.into() };
        assert_eq!(shown(text), value, "{text}");
    }
}

#[test]
fn objects_are_reached_as_in_c() {
    for (text, value) in [
        ("init_task.pid", "-7"),
        ("init_task.pid + 1u", "4294967290"),
        ("(&init_task)->pid", "-7"),
        ("init_task->pid", "-7"),
        ("((struct task *)0xffff888000000000)->comm", "\"swapper\""),
        ("init_task.low", "3"),
        ("init_task.high", "21"),
        ("init_task.delta", "-7"),
        ("init_task.low - 4", "-1"),
        ("init_task.key", "65"),
        ("init_task.bytes[0]", "65 'A'"),
        ("init_task.state", "SLEEPING"),
        ("init_task.state == SLEEPING", "1"),
        ("SLEEPING + 3", "4"),
        ("(enum state)77", "77"),
        ("(enum flags)6", "(F_B | F_C)"),
        ("(enum flags)9", "(F_A | unknown: 0x8)"),
        ("init_task.comm[0]@4", "\"swap\""),
        ("*init_task.comm@2", "\"sw\""),
        ("init_task.comm + 1", "0xffff888000000009 \"wapper\""),
        ("&init_task.comm[2] - &init_task.comm[0]", "2"),
        ("&init_task.tasks", "(struct list_head *) 0xffff888000000010"),
        ("init_task.tasks.next + 1", "(struct list_head *) 0xffff888000000020"),
        ("init_task.tasks.next == &init_task.tasks", "1"),
        ("container_of(init_task.tasks.next, struct task, tasks)->pid", "-7"),
        ("offsetof(struct task, tasks.prev)", "24"),
        ("&((struct task *)0)->comm", "(char (*)[8]) 0x8"),
        (
            "{struct list_head}0xffff888000000010 ",
            "{\n  next = 0xffff888000000010,\n  prev = 0x0\n}",
        ),
        ("*(int *)&untyped", "65"),
        ("(long)untyped", "65"),
        ("&untyped", "(void *) 0xffff888000000020"),
        ("counter:0", "65"),
        ("0 ? counter:2", "2"),
        ("handler", "{void (int)} 0xffffffff81000010 <handler>"),
        ("&handler", "(void (*)(int)) 0xffffffff81000010 <handler>"),
        ("handler + 4", "(void (*)(int)) 0xffffffff81000014 <handler+4>"),
        ("(long)handler == 0xffffffff81000010", "1"),
        ("asm_entry", "{int (...)} 0xffffffff81000000 <asm_entry>"),
        ("init_task.fn", "(void (*)(int)) 0xffffffff81000010 <handler>"),
        ("$rip", "(void *) 0xffffffff81000014 <handler+4>"),
        ("\"abc\"[1]", "98 'b'"),
        ("init_task.pair", "{1, 2}"),
        ("1 || *(int *)0", "1"),
        ("0 && *(int *)0", "0"),
        ("sizeof(*(struct task *)0)", "80"),
    ] {
        assert_eq!(shown(text), value, "{text}");
    }
}

#[test]
fn what_makes_no_sense_says_so_and_where() {
    for (text, error) in [
        ("nope", "0: there is no symbol nope"),
        ("1 + nope", "4: there is no symbol nope"),
        ("init_task.nope", "9: struct task has no member nope"),
        ("(struct nope *)0", "1: there is no type struct nope"),
        ("5/0", "1: division by zero"),
        ("1 << 40", "2: 32 bits cannot be shifted by 40: make the left side a long (1ul << …)"),
        ("*(struct list_head *)0 + 1", "23: struct list_head is not a number"),
        ("1 +", "3: the expression ends too early"),
        ("(1", "2: the expression ends where ) should be"),
        ("handler(1)", "7: functions of a dead machine cannot be called"),
        ("init_task.pid = 1", "14: memory of a dump cannot be changed"),
        ("untyped + 1", "8: the type of this variable is not known: cast it, or take its address"),
        ("counter:7", "0: there is no CPU 7"),
        ("1.5", "0: there are no fractions here"),
        ("&init_task.low", "0: a bit-field has no address"),
        ("$rax", "0: register $rax is not known here"),
    ] {
        assert_eq!(shown(text), error, "{text}");
    }
    assert_eq!(
        shown("((struct list_head *)16)->next->next"),
        "30: page excluded by the dump filter: kernel virtual address 10"
    );
}

#[test]
fn no_text_overflows_the_stack() {
    for text in [
        "(".repeat(100_000),
        "-".repeat(60_000),
        "1+".repeat(30_000) + "1",
        "1?".repeat(20_000),
        "sizeof ".repeat(9_000),
        "a.".repeat(30_000) + "a",
        "(int)".repeat(10_000) + "1",
        format!("{}1{}", "(".repeat(30), "+1)".repeat(30)),
        "(".repeat(40) + &("1+".repeat(100) + "1)").repeat(40),
    ] {
        let _ = shown(&text);
    }
}
