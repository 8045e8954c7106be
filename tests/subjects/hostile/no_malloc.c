// A library without any allocator in it.

int answer(void) { return 42; }
