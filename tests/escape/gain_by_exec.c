/* Gains an id or a capability by executing: argv[1] is a setuid-root copy of this program, argv[2]
 * one with every file capability, argv[3] the same for the user namespace above this one, all
 * placed by the host in a read-only grant; then a setuid program of the host. Rings: no_new_privs,
 * mount (nosuid), caps (empty bounding set), user namespace. */
#include <linux/capability.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "tests/escape/verdict.h"

/* In the executed copy: 0 if it gained nothing. */
static int report(void) {
  struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
  struct __user_cap_data_struct data[2] = {{0, 0, 0}, {0, 0, 0}};
  if (syscall(SYS_capget, &header, data) != 0) return 3;
  if (geteuid() != getuid() || getegid() != getgid() || geteuid() == 0) return 4;
  return (data[0].effective | data[1].effective | data[0].permitted | data[1].permitted) != 0 ? 5
                                                                                              : 0;
}

static int run(const char* path, char* const argv[]) {
  const pid_t pid = fork();
  if (pid == 0) {
    execv(path, argv);
    _exit(errno == EPERM || errno == EACCES ? 126 : 127);
  }
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) broken("waitpid: %s", error_name());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

int main(int argc, char** argv) {
  if (argc == 2 && strcmp(argv[1], "--report") == 0) return report();
  for (int i = 1; i <= 3; i++) {
    const char* path = argument(argc, argv, i);
    char* const arguments[] = {(char*)path, "--report", NULL};
    struct stat st;
    if (stat(path, &st) != 0 || (i == 1 && (st.st_mode & S_ISUID) == 0))
      broken("%s is no bait", path);
    const int got = run(path, arguments);
    if (got == 4) escaped("%s changed the id", path);
    if (got == 5) escaped("%s gave capabilities", path);
    if (got != 0 && got != 126) broken("%s answered %d", path, got);
  }
  char* const to_mount[] = {"mount", "-t", "tmpfs", "none", "/tmp", NULL};
  if (freopen("/dev/null", "w", stderr) == NULL) broken("stderr: %s", error_name());
  if (run("/usr/bin/mount", to_mount) == 0) escaped("mount(8) mounted");
  contained("no id and no capability was gained");
}
