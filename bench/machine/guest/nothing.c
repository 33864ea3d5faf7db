// What is started and ends at once.
int main(void) { return 0; }
