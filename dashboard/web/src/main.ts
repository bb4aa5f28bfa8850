// What pages do beyond links and forms. Every page works without it.
import { chart } from './chart';
import { copy } from './copy';
import { install } from './install';
import { live } from './live';
import { menus } from './menus';
import { periodKeys } from './keys';
import { now } from './now';
import { suggest } from './suggest';
import { swap } from './swap';
import { switcher } from './switcher';
import { theme } from './theme';
import { timeZone } from './time-zone';

// `root` is the page, or the part of it that was just replaced.
const enhance = (root: ParentNode) => {
  chart(root);
  copy(root);
  suggest(root);
  switcher(root);
};

enhance(document);
menus();
theme();
timeZone();
install();
periodKeys();
now();
live();
swap(enhance);
