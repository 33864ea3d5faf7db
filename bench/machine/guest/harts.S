# A kernel Image (the kernel's Documentation/arch/riscv/boot-image-header.rst) that is started in S mode: `main` on a stack of its
# hart, for the hart that starts and, through `second`, for those that it starts.
    .section .text.start
    .globl image, second
image:
    j first
    .balign 8
    .dword 0x200000
    .dword image_end - image
    .dword 0
    .word 2
    .word 0
    .dword 0
    .ascii "RISCV\0\0\0"
    .ascii "RSC\x05"
    .word 0
first:
    la t0, bss_start
    la t1, bss_end
0:  bgeu t0, t1, 0f
    sd zero, 0(t0)
    addi t0, t0, 8
    j 0b
0:  li a1, 1
second:
    .option push
    .option norelax
    la gp, __global_pointer$
    .option pop
    la sp, stacks
    addi t0, a0, 1
    slli t0, t0, 14
    add sp, sp, t0
    call main
1:  wfi
    j 1b
