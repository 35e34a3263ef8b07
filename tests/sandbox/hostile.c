/* A program that does not end well: one misbehaviour per name.
 *
 *   hostile fork_bomb
 *   hostile write FILE BYTES
 *
 * What it says on stdout is what it reached; what it is refused ends it with status 3. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char** g_args;

static _Noreturn void refused(const char* what) {
  printf("%s: %s\n", what, strerrorname_np(errno));
  fflush(stdout);
  _exit(3);
}

static _Noreturn void wait_for_ever(void) {
  for (;;) pause();
}

static void say(const char* text) {
  if (write(1, text, strlen(text)) < 0) _exit(4);
}

/* --- takes all it can get */

static _Noreturn void fork_bomb(void) {
  signal(SIGTERM, SIG_IGN);
  for (;;) {
    if (fork() < 0) usleep(1000);
  }
}

static _Noreturn void forks_until_refused(void) {
  for (;;) {
    const pid_t pid = fork();
    if (pid < 0) refused("fork");
    if (pid == 0) wait_for_ever();
  }
}

static _Noreturn void hog(void) {
  const size_t step = 4u << 20;
  for (;;) {
    char* map = mmap(NULL, step, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) refused("mmap");
    memset(map, 1, step);
  }
}

static _Noreturn void spin(void) {
  for (;;) __asm__ volatile("");
}

static _Noreturn void fill(void) {
  static char block[65536];
  memset(block, 'x', sizeof block);
  const int fd = atoi(g_args[0]);
  for (;;) {
    if (write(fd, block, sizeof block) < 0) refused("write");
  }
}

static _Noreturn void write_file(void) {
  static char block[1 << 20];
  const int fd = open(g_args[0], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) refused("open");
  for (long long left = atoll(g_args[1]); left > 0;) {
    const size_t n = left < (long long)sizeof block ? (size_t)left : sizeof block;
    const ssize_t got = write(fd, block, n);
    if (got <= 0) refused("write");
    left -= got;
  }
  _exit(0);
}

static _Noreturn void make_files(void) {
  const long wanted = atol(g_args[1]);
  for (long i = 0; i < wanted; i++) {
    char name[4096];
    snprintf(name, sizeof name, "%s/%ld", g_args[0], i);
    const int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) refused("open");
    close(fd);
  }
  _exit(0);
}

/* --- does not go when it is told to */

static _Noreturn void ignore_term(void) {
  signal(SIGTERM, SIG_IGN);
  say("so far\n");
  wait_for_ever();
}

static void on_term(int signal) {
  (void)signal;
  say("bye\n");
  _exit(7);
}
static _Noreturn void bye(void) {
  signal(SIGTERM, on_term);
  say("so far\n");
  wait_for_ever();
}

/* A daemon as in the book; it says that it lives in FILE, and the program ends. */
static _Noreturn void daemonise(void) {
  int ready[2];
  if (pipe(ready) != 0) refused("pipe");
  if (fork() == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    signal(SIGHUP, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    close(0), close(1), close(2);
    for (;;) {
      const int fd = open(g_args[0], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
      if (fd >= 0 && write(fd, ".", 1) == 1) close(fd);
      if (write(ready[1], ".", 1) < 0) _exit(0);
      usleep(5000);
    }
  }
  char byte;
  _exit(read(ready[0], &byte, 1) == 1 ? 0 : 4);
}

static _Noreturn void stop_child(void) {
  const pid_t child = fork();
  if (child == 0) wait_for_ever();
  kill(child, SIGSTOP);
  int status = 0;
  waitpid(child, &status, WUNTRACED);
  say("child stopped\n");
  wait_for_ever();
}

static _Noreturn void stop_self(void) {
  say("stopping\n");
  raise(SIGSTOP);
  _exit(0);
}

/* --- the init above it */

static _Noreturn void kill_init(void) {
  for (int signal = 1; signal < 65; signal++) kill(1, signal);
  siginfo_t forged;
  memset(&forged, 0, sizeof forged);
  forged.si_signo = SIGTERM;
  forged.si_code = SI_QUEUE; /* pid 0, as from outside; SI_USER itself cannot be forged */
  syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &forged);
  forged.si_code = SI_USER;
  if (syscall(SYS_rt_sigqueueinfo, 1, SIGTERM, &forged) == 0) say("forged\n");
  usleep(50000);
  say("alive\n");
  _exit(0);
}

static _Noreturn void kill_all(void) {
  for (int i = 0; i < 5; i++) {
    if (fork() == 0) wait_for_ever();
  }
  kill(-1, SIGKILL);
  int killed = 0, status = 0;
  while (wait(&status) > 0) killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  printf("killed %d\n", killed);
  fflush(stdout);
  _exit(0);
}

static int count_state(char wanted) {
  int count = 0;
  DIR* proc = opendir("/proc");
  for (struct dirent* e; proc != NULL && (e = readdir(proc)) != NULL;) {
    char name[300], text[512] = "";
    snprintf(name, sizeof name, "/proc/%s/stat", e->d_name);
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    if (read(fd, text, sizeof text - 1) > 0) {
      const char* state = strrchr(text, ')');
      count += state != NULL && state[2] == wanted;
    }
    close(fd);
  }
  if (proc != NULL) closedir(proc);
  return count;
}

/* N grandchildren that lose their parent; init has to reap them, or the pids run out. */
static _Noreturn void orphans(void) {
  const long wanted = atol(g_args[0]);
  for (long i = 0; i < wanted; i++) {
    const pid_t child = fork();
    if (child < 0) refused("fork");
    if (child == 0) {
      const pid_t orphan = fork();
      _exit(orphan < 0 ? 1 : 0);
    }
    int status = 0;
    if (waitpid(child, &status, 0) != child) refused("waitpid");
    if (status != 0) i--, usleep(500); /* 64 at a time; init is on its way */
  }
  for (int i = 0; i < 1000 && count_state('Z') > 0; i++) usleep(2000);
  printf("pid %d, zombies %d\n", getpid(), count_state('Z'));
  fflush(stdout);
  _exit(0);
}

/* --- ends in its own way */

static _Noreturn void abort_it(void) {
  say("so far\n");
  abort();
}
static _Noreturn void fault(void) {
  raise(SIGSEGV);
  _exit(4);
}
static _Noreturn void close_and_go_on(void) {
  close(0), close(1), close(2);
  usleep(100000);
  const int fd = open(g_args[0], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  _exit(fd >= 0 ? 5 : 4);
}
static _Noreturn void become_another(void) {
  char* words[] = {g_args[0], "abort", NULL};
  execv(g_args[0], words);
  refused("exec");
}

static const struct {
  const char* name;
  void (*run)(void);
} kTable[] = {
    {"fork_bomb", fork_bomb},
    {"forks_until_refused", forks_until_refused},
    {"hog", hog},
    {"spin", spin},
    {"fill", fill},
    {"write", write_file},
    {"files", make_files},
    {"ignore_term", ignore_term},
    {"bye", bye},
    {"daemonise", daemonise},
    {"stop_child", stop_child},
    {"stop_self", stop_self},
    {"kill_init", kill_init},
    {"kill_all", kill_all},
    {"orphans", orphans},
    {"abort", abort_it},
    {"fault", fault},
    {"close_and_go_on", close_and_go_on},
    {"become_another", become_another},
};

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  g_args = argv + 2;
  for (size_t i = 0; i < sizeof kTable / sizeof *kTable; i++) {
    if (strcmp(argv[1], kTable[i].name) == 0) kTable[i].run();
  }
  return 2;
}
