// Rights of the visitor without our banner: `sotto.erase()`, `sotto.privacy()` and links with data-sotto-privacy.

import { rights } from './privacy'

rights()
