# Fails on an #include that points upward. A folder may include itself and what its line names
# (the table of "The map" in the code map of README.md).
BEGIN {
	may["base"] = ""
	may["arch"] = "base"
	may["oci"] = "base arch"
	may["dockerfile"] = "base arch oci"
	may["layer"] = "base arch oci"
	may["store"] = "base arch oci layer"
	may["registry"] = "base arch oci layer"
	may["sandbox"] = "base arch"
	may["cross"] = "base arch oci sandbox"
	may["build"] = "base arch oci dockerfile layer store registry sandbox cross"
	may["cli"] = "base arch oci dockerfile layer store registry sandbox cross build"
	third["curl/"] = "registry"; third["archive"] = "layer"; third["zstd.h"] = "layer"
	third["zlib.h"] = "layer"; third["isa-l"] = "layer"; third["sqlite3.h"] = "store"
	third["seccomp.h"] = "sandbox"; third["sys/capability.h"] = "sandbox"
	third["jansson.h"] = "base"; third["openssl/"] = "base"
}
FNR == 1 {
	n = split(FILENAME, part, "/")
	folder = part[n - 1]
}
/^#include "/ {
	split($2, q, "\"")
	to = q[2]
	sub(/\/.*/, "", to)
	if (to != folder && (" " may[folder] " ") !~ (" " to " ")) {
		printf "%s:%d: %s must not include %s\n", FILENAME, FNR, folder, q[2]
		bad = 1
	}
}
/^#include </ {
	for (t in third)
		if (index($2, "<" t) == 1 && third[t] != folder) {
			printf "%s:%d: %s belongs to %s alone\n", FILENAME, FNR, $2, third[t]
			bad = 1
		}
}
END { exit bad }
