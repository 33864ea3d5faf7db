// Entry in M mode at the start of RAM: floating point on, a stack, main; then its result on the serial port and power off.
    .section .text.start
    .globl _start
_start:
    csrr t0, mhartid
    bnez t0, 1f
    li t0, 0x6000
    csrs mstatus, t0
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, stack_end
    la t0, bss_start
    la t1, bss_end
0:  bgeu t0, t1, 0f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 0b
0:  call run
    call finish
1:  wfi
    j 1b
