/* Learns names of the host: lists / and every directory above WORK, and asks for well-known names.
 * argv[1…] are the only names that may stand in /.
 * Rings: mount (nothing else exists), Landlock (directories above a grant cannot be listed). */
#include <dirent.h>
#include <sys/stat.h>

#include "tests/escape/verdict.h"

static void list_root(int argc, char** argv) {
  DIR* dir = opendir("/");
  if (dir == NULL) return;
  for (const struct dirent* entry; (entry = readdir(dir)) != NULL;) {
    int known = entry->d_name[0] == '.';
    for (int i = 1; i < argc; i++) known |= strcmp(entry->d_name, argv[i]) == 0;
    if (!known) escaped("/%s is there to see", entry->d_name);
  }
}

/* Above WORK there may be one name in each directory: the way to WORK. */
static void list_parents(void) {
  char path[4096];
  if (getcwd(path, sizeof path) == NULL) broken("getcwd: %s", error_name());
  for (;;) {
    char* slash = strrchr(path, '/');
    if (slash == path || slash == NULL) return;
    const char* child = slash + 1;
    *slash = '\0';
    DIR* dir = opendir(path);
    if (dir == NULL) continue;
    for (const struct dirent* entry; (entry = readdir(dir)) != NULL;) {
      if (entry->d_name[0] != '.' && strcmp(entry->d_name, child) != 0) {
        escaped("%s/%s is there to see", path, entry->d_name);
      }
    }
    closedir(dir);
  }
}

int main(int argc, char** argv) {
  const char* guesses[] = {"/root",    "/home",        "/boot",         "/run",     "/sys",
                           "/srv",     "/opt",         "/mnt",          "/var/lib", "/var/log",
                           "/etc/ssh", "/etc/sudoers", "/etc/hostname", "/dev/shm", "/dev/pts"};
  list_root(argc, argv);
  list_parents();
  struct stat st;
  for (size_t i = 0; i < sizeof guesses / sizeof guesses[0]; i++) {
    if (stat(guesses[i], &st) == 0) escaped("%s exists", guesses[i]);
    if (errno != ENOENT) escaped("%s answers %s", guesses[i], error_name());
  }
  contained("only granted names exist");
}
