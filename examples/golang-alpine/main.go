// myapp says what it was built for, and the greeting that stood in its build context.
package main

import (
	_ "embed"
	"fmt"
	"os"
	"runtime"
)

//go:embed greeting.txt
var greeting string

func main() {
	name := "world"
	if len(os.Args) > 1 {
		name = os.Args[1]
	}
	fmt.Printf("%s/%s: ", runtime.GOOS, runtime.GOARCH)
	fmt.Printf(greeting, name)
}
