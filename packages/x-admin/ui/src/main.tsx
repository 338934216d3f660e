import { mount, Shell } from "@polis/client/ui";
mount(<Shell title="Node"><h1>Node</h1></Shell>);
